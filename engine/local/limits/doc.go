// Package limits lets the kernel limit the memory, processor time and number of processes of a
// command and all it starts. It knows control groups of version 1 and 2; not apps, nor what runs in
// a group.
//
// It writes the few files itself. github.com/containerd/cgroups/v3 (v3.1.3) was measured: 11 more
// modules (dbus, ebpf, protobuf, logrus), 4.7 MB more binary (of 25), and 4 ms more (of 27) at the
// start of every command, git hook and guard. It can neither start a process inside a group of
// version 2 (clone3(2)) nor move one of our threads into a group of version 1.
//
// RLIMIT_DATA, the one limit that needs no privileges, is not used. It counts reserved memory per
// process instead of used memory of all processes: java reserved 493 MB when it used 39 (of 24 GB),
// and did not start below 512; node reserved 49 for 43, and python 11 for 20. And what fails is an
// allocation somewhere in the app, which cannot be explained from outside. Without control groups
// the caller can poll the memory, as package child does.
package limits
