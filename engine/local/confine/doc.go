// Package confine restricts a command to its own files, user and /tmp. The engine says what a
// command may see and write. The package knows the kernel's features; not apps, releases or the
// volume.
//
// There are three ways. [Probe] finds the best one that the server can use:
//
//   - As root, each app has its own user, and each process its own mount namespace
//     (mount_namespaces(7)) below a root of its own. Empty folders cover what is hidden; the app's
//     own files are visible at [App] and below [Beside]. /tmp, /var/tmp and /dev/shm are private.
//     /proc shows the app's own processes. So nothing depends on the modes of files.
//   - As another user, if user namespaces are allowed (user_namespaces(7)), processes keep the
//     server's user. Each app has a [Sandbox], in which it cannot name processes outside. Each
//     process has the same mounts as above. Everything except the app's own folders is read-only,
//     and the machine's sockets are hidden.
//   - Otherwise, as in most containers, Landlock (landlock(7)) lets processes open only their own
//     files and what is outside the hidden folders, and trace and signal only what they started. A
//     filter of system calls (seccomp(2)) keeps them from changing the limits and priorities of
//     other processes. /tmp is denied; TMPDIR names a private folder.
//
// In all three, nothing that a command executes can gain privileges (PR_SET_NO_NEW_PRIVS). If the
// kernel has Landlock, a command can write only to its own folders. [Isolation.Open] lists what
// remains possible.
//
// No way hides what the machine lets every user read, nor protects against a bug in the kernel.
package confine
