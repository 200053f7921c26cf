// Package deploy takes a release through its two phases, for the receiver, the sidecar and the
// commands. It meets the runtime only on the volume, and does not know who asks or where a commit
// came from. It fetches the submodules of commits: see [Modules].
//
// In release mode the runtime does the work: a [Maker] publishes the release, waits while the
// runtime builds, boots and watches it, and then commits it or takes it back. In watch mode
// ([volume.InPlace]) nothing is built or booted: the Maker writes the commit into the app's
// worktree/, where the app's own watcher sees it, and sets the release's state in place of the
// runtime.
package deploy
