// Package acceptance tests the containers as their users have them: testdata/script/*.txtar are
// sessions with a real Docker Engine, docker-compose, git and OpenSSH, against the compose files of this
// repository as they are. It knows nothing of what is in the images but the paas command.
//
// scripts/acceptance runs it: that brings the engine, base images and the images under test. Without
// those it skips.
package acceptance
