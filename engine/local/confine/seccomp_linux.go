package confine

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machines are what the kernel calls the processors that there is a filter for (audit.h), all with
// the lower half of a number first.
var machines = map[string]uint32{
	"386": unix.AUDIT_ARCH_I386, "amd64": unix.AUDIT_ARCH_X86_64, "arm": unix.AUDIT_ARCH_ARM, "arm64": unix.AUDIT_ARCH_AARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}

// refused are calls that fail with "operation not permitted": the kernel keeps the keys of a user
// for all its processes (keyrings(7)).
var refused = []uint32{unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL}

// onSelf are calls whose first argument names a process: 0 is the caller, and everything else is
// refused where the app sees the numbers of others.
var onSelf = []uint32{
	unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETSCHEDULER,
}

// onSelfSecond are those whose second argument does; the first, which says what it names, must be 0
// (setpriority) or 1 (ioprio_set): a process.
var onSelfSecond = map[uint32]uint32{unix.SYS_SETPRIORITY: 0, unix.SYS_IOPRIO_SET: 1}

// filterCalls has the calling thread, and what it starts, do without the calls by which a process
// gets at others of its user that neither Landlock nor no_new_privs keeps from it (seccomp(2)).
// Where others says so, these are also the calls that change how another process runs.
func filterCalls(others bool) error {
	program := filter(machines[runtime.GOARCH], others)
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&list)))
	if errno != 0 {
		return errno
	}
	return nil
}

// canFilter says whether the kernel filters calls, and there is a filter for this processor.
func canFilter() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0 && machines[runtime.GOARCH] != 0
}

// filter is the program, in the kernel's classic BPF, on struct seccomp_data. Of an argument the
// lower half is looked at: the kernel takes no more for a process's number. Programs for another
// processor, which this one may run too, have other numbers for calls; where others counts, all of
// theirs are refused.
func filter(machine uint32, others bool) []unix.SockFilter {
	const (
		number, arch        = 0, 4
		load                = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal               = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast             = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		end                 = unix.BPF_RET | unix.BPF_K
		deny                = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
		missing             = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
		allow               = uint32(unix.SECCOMP_RET_ALLOW)
		x32          uint32 = 0x40000000 // __X32_SYSCALL_BIT of asm/unistd.h
	)
	argument := func(i int, upper bool) uint32 {
		at := uint32(16 + 8*i)
		if upper {
			at += 4
		}
		return at
	}
	foreign := missing
	if !others {
		foreign = allow
	}
	program := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: machine, Jt: 1},
		{Code: end, K: foreign},
		{Code: load, K: number},
	}
	add := func(more ...unix.SockFilter) { program = append(program, more...) }
	if machine == unix.AUDIT_ARCH_X86_64 {
		add(unix.SockFilter{Code: atLeast, K: x32, Jf: 1}, unix.SockFilter{Code: end, K: missing})
	}
	for _, call := range refused {
		add(unix.SockFilter{Code: equal, K: call, Jf: 1}, unix.SockFilter{Code: end, K: deny})
	}
	if !others {
		add(unix.SockFilter{Code: end, K: allow})
		return program
	}
	for _, call := range onSelf {
		add(unix.SockFilter{Code: equal, K: call, Jf: 4}, unix.SockFilter{Code: load, K: argument(0, false)},
			unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow}, unix.SockFilter{Code: end, K: deny})
	}
	for call, process := range onSelfSecond {
		add(unix.SockFilter{Code: equal, K: call, Jf: 6}, unix.SockFilter{Code: load, K: argument(0, false)},
			unix.SockFilter{Code: equal, K: process, Jf: 3}, unix.SockFilter{Code: load, K: argument(1, false)},
			unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow}, unix.SockFilter{Code: end, K: deny})
	}
	// prlimit64 with new limits: to read those of others harms nobody.
	add(unix.SockFilter{Code: equal, K: unix.SYS_PRLIMIT64, Jf: 8}, unix.SockFilter{Code: load, K: argument(0, false)},
		unix.SockFilter{Code: equal, K: 0, Jt: 4}, unix.SockFilter{Code: load, K: argument(2, false)},
		unix.SockFilter{Code: equal, K: 0, Jf: 3}, unix.SockFilter{Code: load, K: argument(2, true)},
		unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow}, unix.SockFilter{Code: end, K: deny})
	add(unix.SockFilter{Code: end, K: allow})
	return program
}
