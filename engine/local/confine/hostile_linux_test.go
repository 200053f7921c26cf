package confine

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// attack tries what a hostile app would: on another process of its user, on that user's sockets,
// and on files of others. It prints what succeeds. Without walls it skips what would affect the
// whole machine.
func attack(victim int, socket, abstract, file string, walls bool) {
	try := func(what string, err error) {
		if err == nil {
			fmt.Println(what)
		}
	}
	call := func(number uintptr, args ...uintptr) error {
		all := make([]uintptr, 6)
		copy(all, args)
		if _, _, errno := unix.Syscall6(number, all[0], all[1], all[2], all[3], all[4],
			all[5]); errno != 0 {
			return errno
		}
		return nil
	}
	dial := func(address string) error {
		conn, err := net.Dial("unix", address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	pid := uintptr(victim)
	try("connect", dial(socket))
	try("connect abstract", dial("@"+abstract))
	limit := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	try("prlimit", unix.Prlimit(victim, unix.RLIMIT_CORE, &limit, nil))
	try("setpriority", unix.Setpriority(unix.PRIO_PROCESS, victim, 19))
	if walls { // else others of this machine would be slow
		unix.Setpriority(unix.PRIO_USER, os.Getuid(), 19) // the test looks at the victim's
	}
	var cores unix.CPUSet
	cores.Set(0)
	try("sched_setaffinity", unix.SchedSetaffinity(victim, &cores))
	var parameters [1]int32
	try("sched_setscheduler", call(unix.SYS_SCHED_SETSCHEDULER, pid, unix.SCHED_BATCH,
		uintptr(unsafe.Pointer(&parameters))))
	try("sched_setparam", call(unix.SYS_SCHED_SETPARAM, pid, uintptr(unsafe.Pointer(&parameters))))
	try("sched_setattr", unix.SchedSetAttr(victim, &unix.SchedAttr{
		Size:   unix.SizeofSchedAttr,
		Policy: unix.SCHED_BATCH,
		Nice:   19,
	}, 0))
	try("ioprio_set", call(unix.SYS_IOPRIO_SET, 1, pid, 3<<13))
	try("ptrace", unix.PtraceSeize(victim))
	buffer := make([]byte, 8)
	local, remote := []unix.Iovec{{Base: &buffer[0], Len: 8}}, []unix.RemoteIovec{
		{Base: uintptr(unsafe.Pointer(&buffer[0])), Len: 8},
	}
	_, err := unix.ProcessVMReadv(victim, local, remote, 0)
	try("process_vm_readv", err)
	try("kill", unix.Kill(victim, 0))
	try("chmod", os.Chmod(file, 0o777))
	try("utime", os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)))
	try("setxattr", unix.Setxattr(file, "user.x", []byte("x"), 0))
	for _, path := range []string{
		"/proc/1/root", "/proc/1/cwd", "/proc/1/fd/0", "/proc/1/environ",
	} {
		_, err := os.ReadFile(path + map[bool]string{true: file, false: ""}[path == "/proc/1/root"])
		if path == "/proc/1/cwd" {
			_, err = os.ReadDir(path)
		}
		try(path, err)
	}
	_, err = unix.AddKey("user", "paas", []byte("x"), unix.KEY_SPEC_USER_KEYRING)
	try("add_key", err)
	try("user namespace", exec.Command("unshare", "-U", "true").Run())
	try("mount", unix.Mount("tmpfs", os.Getenv("TMPDIR"), "tmpfs", 0, ""))
	try("remount", unix.MountSetattr(unix.AT_FDCWD, "/", 0,
		&unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
	// what any program may do to itself
	for what, err := range map[string]error{
		"prlimit":           unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{}, nil),
		"sched_setaffinity": unix.SchedSetaffinity(0, &cores),
		"setpriority":       unix.Setpriority(unix.PRIO_PROCESS, 0, 19),
		"read limits":       unix.Prlimit(os.Getpid(), unix.RLIMIT_CORE, nil, &limit),
	} {
		if err != nil {
			fmt.Println("ITSELF", what, err)
		}
	}
	fmt.Println("tried")
}

// What each kind of confinement leaves possible for an app with the server's user.
func TestSameUser(t *testing.T) {
	rig.Need(t, "sleep", "unshare")
	if os.Getuid() == 0 {
		t.Skip("SKIP: TestNotRoot runs it")
	}
	list := ways(t)
	open := map[string][]string{
		"sandboxes":              {"connect abstract"},
		"sandboxes and Landlock": nil,
		"Landlock":               {"connect", "chmod", "utime", "setxattr", "user namespace"},
		"Landlock alone": {"connect", "prlimit", "setpriority", "sched_setaffinity",
			"sched_setscheduler", "sched_setparam",
			"sched_setattr", "ioprio_set", "chmod", "utime", "setxattr", "add_key",
			"user namespace"},
	}
	if list["Landlock"].Landlock < scopes {
		t.Skipf("SKIP: Landlock %d allows more", list["Landlock"].Landlock)
	}
	list["Landlock alone"] = Isolation{Landlock: list["Landlock"].Landlock}
	for name, isolation := range list {
		t.Run(name, func(t *testing.T) {
			root, b := place(t, isolation)
			victim := exec.Command("sleep", "1000")
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			defer victim.Wait()
			defer victim.Process.Kill()
			before, err := unix.Getpriority(unix.PRIO_PROCESS, victim.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(filepath.Dir(root), "database.sock")
			abstract := "paas-test-" + strconv.Itoa(victim.Process.Pid)
			for _, address := range []string{socket, "@" + abstract} {
				listener, err := net.Listen("unix", address)
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
			}
			other := filepath.Join(filepath.Dir(root), "file")
			if err := os.WriteFile(other, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			self, _ := os.Executable()
			out := inside(t, b, strings.Join([]string{
				self, "attack", strconv.Itoa(victim.Process.Pid), socket, abstract, other,
				strconv.FormatBool(name != "Landlock alone"),
			}, " "))
			got := strings.Split(strings.TrimSpace(out), "\n")
			want := append(slices.Clone(open[name]), "tried")
			if !slices.Equal(got, want) {
				t.Errorf("possible: %q, want %q", got, want)
			}
			const lowest = 1 // of getpriority(2), which a test that is as nice as can be has itself
			if now, err := unix.Getpriority(unix.PRIO_PROCESS, victim.Process.Pid); err != nil ||
				before > lowest && (now == before) == slices.Contains(want, "setpriority") {
				t.Errorf("the victim's priority is %d, err = %v", now, err)
			}
		})
	}
}
