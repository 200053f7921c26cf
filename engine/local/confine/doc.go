// Package confine keeps a command to what is its own: its files, its user, its /tmp. It is for the
// engine, which says what a command may see and write. It knows the kernel's means and what each is
// good for; not apps, releases or the volume.
//
// There are three ways, and [Probe] finds out which the server can go:
//
//   - As root, each app has a user of its own and each of its processes a mount namespace
//     (mount_namespaces(7)). There what is hidden is covered by an empty folder in which only the app's own
//     files are to be seen, at the paths they always have; /tmp, /var/tmp and /dev/shm are private;
//     /proc shows the app's own processes. So nothing rests on the modes of files.
//   - As anybody else, where user namespaces are allowed (user_namespaces(7)), processes keep the server's user. Each app
//     has a [Sandbox], in which it cannot name processes outside, and each process has the mounts that root
//     gives it. Everything but the app's own folders is read-only, and the sockets of the machine are hidden.
//   - Elsewhere, as in most containers, Landlock (landlock(7)) lets processes open what is around the hidden folders and
//     their own files, and trace and signal only what they started; a filter of system calls (seccomp(2)) keeps
//     them from changing the limits and priorities of other processes. /tmp is denied; TMPDIR names a folder of
//     their own.
//
// In all three nothing a command executes can gain privileges (PR_SET_NO_NEW_PRIVS), and where the kernel has
// Landlock it writes to its own folders alone. [Force.Open] lists what a server leaves open.
//
// What none does: hide what the machine lets every user read, or stand against a hole in the kernel.
package confine
