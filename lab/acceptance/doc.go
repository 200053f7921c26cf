// Package acceptance tests the containers as people use them: testdata/script/*.txtar are sessions
// with a real Docker Engine, docker-compose, git and OpenSSH, against this repository's own compose
// files. Of the images it knows only the paas command.
//
// scripts/acceptance runs the tests. It provides the engine, the base images and the tested images;
// without those the tests are skipped.
package acceptance
