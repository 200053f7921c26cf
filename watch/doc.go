// Package watch runs a command and restarts it when files change, like nodemon, watchexec and
// `dotnet watch`. It is `paas watch`, in an app's container or on a laptop. It does not know apps,
// releases or settings; from the rest of paas it knows only the [marker] file beside a worktree.
//
// # What counts as a change
//
// A file that is new, removed, or has another size, modification time, inode or type than before.
// So an atomic save, an editor's backup and temporary files, a switched link and a moved folder
// count once. A chmod, a read, or a temporary file that has been removed again does not count.
// Links are not followed: a target is watched only if it is in the tree. DIR may be a link or
// contain links, and may be switched, deleted and created again.
//
// Ignored files are determined by, in this order: --ignore, [DefaultIgnores], and the .gitignore
// files from the nearest up to the repository's own, interpreted as git does. The first of these
// that matches a path decides. A folder with a project of .NET has bin/ and obj/ in its .gitignore,
// in effect. Ignored folders are not watched at all.
//
// # When it restarts
//
// See [burst]: 10 ms after a save, which changes at most three files and adds none, and otherwise
// when nothing has changed for Delay. It waits while the marker says that an update is in progress,
// and while git's index.lock exists, and restarts at once when that is over. Files that change
// while the old process is being stopped belong to the same restart.
//
// # Events and scans
//
// On Linux each folder has an inotify watch. A slow scan of the whole tree finds changes without an
// event: from time to time on a local disk, every second on a network file system. If the watches
// are exhausted, or a scan finds a change that had no event, polling takes over, with a message.
// Polling uses about 2 % of a processor. Other systems use only polling: kqueue would need an open
// descriptor for each file.
//
// # The command's processes
//
// The command leads its own session and process group. Its standard input is /dev/null: outside the
// terminal's foreground group it would be stopped when it reads, and inside it would receive our
// Ctrl-C. A restart sends Signal to the whole group, and after Grace SIGKILL to what is left of it.
// The next command starts when the group has ended, so its port is free. On Linux that includes
// descendants that have left the group, as by setsid. There this process adopts and reaps orphans, also as the first process of a container, so the caller of [Watch.Run]
// must not start other children meanwhile.
package watch
