// Package sidecar follows remote repositories: it polls them, and a new commit becomes a release in
// the same two phases as a push. It does not know what runs the app; the two meet on the volume. It
// reaches the repositories through [Remote].
//
// # Following
//
// Each app with a source has a goroutine that polls it once in each interval (volume.Source.Every),
// give or take a tenth, so that sources do not bunch up. Sources are added, changed and removed
// while it runs. A poll that finds nothing new costs one request: it reads no file, takes no lock
// and starts nothing.
//
// A new commit is fetched, inspected and deployed. This decides it: it is live, or it failed and
// the version before it is still live. Either way it is not tried again until the branch moves or a
// person asks ([Sidecar.Sync]), so a rollback stays. If the commit is not to blame (the network, a
// full disk, a repository that is gone), it is tried again: after the interval at first, then after
// a quarter of the time that the trouble has lasted, up to five minutes. A host that takes no
// connections is probed meanwhile, and its sources are polled as soon as it answers. Sources in
// trouble have a queue of their own, so that they do not delay the others.
//
// # What is kept
//
// apps/<app>/looked.json records which commit was decided on, and what is wrong now. The rest is in
// the releases. kill -9 at any point leaves the old release or the new one: a commit that was not
// decided on is tried again, and one that went live meanwhile is recognised by its name. Locks are
// taken in this order: the source lock, then the app's turn. A holder of either never waits for one
// of the few slots for fetching and deploying.
package sidecar
