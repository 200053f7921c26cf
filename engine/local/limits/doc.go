// Package limits has the kernel keep processes, with all they start, within what they may use of memory,
// processors and process numbers. It knows control groups, version 1 and 2; not apps, nor what runs in a
// group.
//
// The few files are written here. github.com/containerd/cgroups/v3 (v3.1.3), which containers are held
// with, was measured: 11 more modules (dbus, ebpf, protobuf, logrus), 4.7 MB more binary on 25, and 4 ms
// more at the start of every command, of every hook of git and of the guard, on 27; it neither starts a
// process inside a group of version 2 (clone3(2)) nor has a thread of ours enter one of version 1.
//
// RLIMIT_DATA, the one limit that needs no privileges, is not used. It counts what a program has set
// aside, per process, and not what it uses with all its kin: java set aside 493 MB where it used 39 (of
// 24 GB of memory), and did not start below 512; node took 49 for 43, and python 11 for 20. What fails then is
// an allocation somewhere in the app, which nothing outside can name. Where there are no control groups the
// caller is told so, and may look at the memory itself, as package child does.
package limits
