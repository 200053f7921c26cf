// Package deploy takes a release through its two phases, for the receiver, the sidecar and the
// commands. It meets the runtime only on the volume, and does not know who asks or where a commit
// came from. It fetches the submodules of commits: see [Modules].
//
// The runtime does the work: a [Maker] publishes the release, waits while the runtime builds, boots
// and watches it, and then commits it or takes it back.
//
// Watch mode ([volume.InPlace]) differs in one thing: the release has no checkout of its own. The
// Maker changes the app's worktree/ to the commit, touching only files that differ, and the runtime
// builds it there again. Everything else hangs on the build, as always: processes, environment,
// isolation, logs, limits, the address. What earlier builds left (node_modules, obj/) is still
// there, so a build costs what has changed; and the server needs no watcher, because it made the
// change itself and knows when it is whole. If the commit does not go live, the Maker changes the
// folder back to the live one, and has that built again.
//
// In mode worktree ([volume.OnlyFiles]) nothing is built or booted: once the commit is accepted,
// the Maker writes it into worktree/, where a program of the user's own watches it, and sets the
// release's state in place of the runtime.
package deploy
