// Package deploy takes a release through its two phases for who has a commit or a build already:
// commands, the sidecar, and in watch mode the receiver. It meets the runtime on the volume alone,
// and knows neither who asks nor how the commit came here.
//
// In release mode the runtime does the work, and this package publishes, waits and commits. In watch
// mode ([volume.InPlace]) nothing is built or booted: the commit is written into the app's worktree/,
// which whoever runs the app watches, and so the release is live. It is then this package that says
// how the release stands, in the runtime's place.
package deploy
