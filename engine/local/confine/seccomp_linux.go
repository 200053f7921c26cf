package confine

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machines are the kernel's names of the supported processors (audit.h), all little-endian.
var machines = map[string]uint32{
	"386": unix.AUDIT_ARCH_I386, "amd64": unix.AUDIT_ARCH_X86_64, "arm": unix.AUDIT_ARCH_ARM,
	"arm64":   unix.AUDIT_ARCH_AARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}

// refused are system calls that fail with EPERM: the kernel keeps a user's keys for all its
// processes (keyrings(7)).
var refused = []uint32{unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL}

// onSelf are calls whose first argument is a process id. 0 means the caller; anything else is
// refused if the app sees process ids of others.
var onSelf = []uint32{
	unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETPARAM,
	unix.SYS_SCHED_SETSCHEDULER,
}

// onSelfSecond are calls whose second argument is the process id. The first, the kind of id, must
// be 0 (setpriority) or 1 (ioprio_set) for a process.
var onSelfSecond = map[uint32]uint32{unix.SYS_SETPRIORITY: 0, unix.SYS_IOPRIO_SET: 1}

// filterCalls denies the calling thread, and what it starts, the system calls by which a process
// can affect others of its user and that neither Landlock nor no_new_privs denies (seccomp(2)).
// With others, these include calls that change how another process runs.
func filterCalls(others bool) error {
	program := filter(machines[runtime.GOARCH], others)
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(&list)))
	if errno != 0 {
		return errno
	}
	return nil
}

// canFilter reports whether the kernel supports filters and there is one for this processor.
func canFilter() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0,
		uintptr(unsafe.Pointer(&action)))
	return errno == 0 && machines[runtime.GOARCH] != 0
}

// filter returns the program in classic BPF, on struct seccomp_data. Of an argument it checks the
// lower half, which is all that the kernel uses of a process id. Programs for another architecture
// that this processor also runs have other call numbers; with others, all of their calls are
// refused.
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
		add(unix.SockFilter{Code: equal, K: call, Jf: 4},
			unix.SockFilter{Code: load, K: argument(0, false)},
			unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow},
			unix.SockFilter{Code: end, K: deny})
	}
	for call, process := range onSelfSecond {
		add(unix.SockFilter{Code: equal, K: call, Jf: 6},
			unix.SockFilter{Code: load, K: argument(0, false)},
			unix.SockFilter{Code: equal, K: process, Jf: 3},
			unix.SockFilter{Code: load, K: argument(1, false)},
			unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow},
			unix.SockFilter{Code: end, K: deny})
	}
	// prlimit64 with new limits; reading another's limits is harmless
	add(unix.SockFilter{
		Code: equal,
		K:    unix.SYS_PRLIMIT64,
		Jf:   8,
	}, unix.SockFilter{Code: load, K: argument(0, false)},
		unix.SockFilter{Code: equal, K: 0, Jt: 4}, unix.SockFilter{Code: load,
			K: argument(2, false)},
		unix.SockFilter{Code: equal, K: 0, Jf: 3}, unix.SockFilter{Code: load,
			K: argument(2, true)},
		unix.SockFilter{Code: equal, K: 0, Jf: 1}, unix.SockFilter{Code: end, K: allow},
		unix.SockFilter{Code: end, K: deny})
	add(unix.SockFilter{Code: end, K: allow})
	return program
}
