package confine

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machines are the kernel's names of the supported processors (audit.h), all little-endian.
var machines = map[string]uint32{
	"386":     unix.AUDIT_ARCH_I386,
	"amd64":   unix.AUDIT_ARCH_X86_64,
	"arm":     unix.AUDIT_ARCH_ARM,
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
		argument            = 16 // the first one; each has 8 bytes
		upper               = 4  // its upper half
		deny                = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
		missing             = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
		allow               = uint32(unix.SECCOMP_RET_ALLOW)
		x32          uint32 = 0x40000000 // __X32_SYSCALL_BIT of asm/unistd.h
	)
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, ifTrue, ifFalse uint8) unix.SockFilter {
		code := unix.BPF_JMP | test | unix.BPF_K
		return unix.SockFilter{Code: code, K: k, Jt: ifTrue, Jf: ifFalse}
	}
	equal := func(k uint32, ifTrue, ifFalse uint8) unix.SockFilter {
		return jump(unix.BPF_JEQ, k, ifTrue, ifFalse)
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	foreign := missing
	if !others {
		foreign = allow
	}
	program := []unix.SockFilter{load(arch), equal(machine, 1, 0), end(foreign), load(number)}
	add := func(more ...unix.SockFilter) { program = append(program, more...) }
	if machine == unix.AUDIT_ARCH_X86_64 {
		add(jump(unix.BPF_JGE, x32, 0, 1), end(missing))
	}
	for _, call := range refused {
		add(equal(call, 0, 1), end(deny))
	}
	if !others {
		add(end(allow))
		return program
	}
	for _, call := range onSelf {
		add(equal(call, 0, 4), load(argument), equal(0, 0, 1), end(allow), end(deny))
	}
	for call, process := range onSelfSecond {
		add(equal(call, 0, 6), load(argument), equal(process, 0, 3),
			load(argument+8), equal(0, 0, 1), end(allow), end(deny))
	}
	// prlimit64 with new limits; reading another's limits is harmless
	add(equal(unix.SYS_PRLIMIT64, 0, 8), load(argument), equal(0, 4, 0), load(argument+16),
		equal(0, 0, 3), load(argument+16+upper), equal(0, 0, 1), end(allow), end(deny))
	add(end(allow))
	return program
}
