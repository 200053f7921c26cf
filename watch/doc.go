// Package watch runs a command and restarts it when files change: what nodemon, watchexec and
// `dotnet watch` do, as `paas watch` in an app's container or on a laptop. It knows folders, files
// and one process group. It knows neither apps nor releases nor the settings; of the rest of paas
// it knows one file, the [marker] beside a worktree.
//
// # What counts as a change
//
// A file that is new, gone, or has another size, modification time, inode or type than when it was
// last looked at. So an atomic save, an editor's dance of backup and temporary file, a link that is
// flipped and a moved folder count once, and a chmod, a read or a temporary file that is gone
// again count not at all. A link counts as itself: what it leads to is watched only where it is in
// the tree. DIR itself may be a link, or be behind one, and may be flipped, deleted and made anew.
//
// Left out are, the first of these that says anything about a path decides: --ignore, the
// [DefaultIgnores], and the .gitignore files from the nearest up to the repository's own, read as
// git reads them. Folders that are left out are not even watched.
//
// # When it restarts
//
// See [burst]: 10 ms after a save, which is a change to three files at most and brings no new one;
// where there is more, once nothing has changed for Delay. While the marker beside a worktree says that an update is on its way, or
// git's index.lock is there, nothing restarts; when that is over, the command does at once. The files that change while the old
// process is being stopped belong to the same restart.
//
// # Events and looks
//
// On Linux each folder has an inotify watch, and a slow look at the whole tree finds what came
// without an event: now and then on a local disk, each second on a network's. Where the watches do
// not suffice, or a look found what no event told, looks take over, aloud. They are spaced so that
// they need about 2 % of a processor. Elsewhere there are looks alone: kqueue would keep a
// descriptor open for each file.
//
// # The command's processes
//
// The command leads a session and a process group of its own, and reads nothing: its standard
// input is /dev/null, since a process outside the terminal's foreground group would be stopped for
// reading there, and one inside it would take Ctrl-C from us. A restart sends Signal to the whole
// group and SIGKILL to what is left of it after Grace; the next command starts when the group is
// gone, so its port is free. On Linux orphans come to this process, and it reaps them, also as a
// container's first process: whoever calls [Watch.Run] must start no other children meanwhile.
package watch
