package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Probe finds out what the server can put in force, by trying. dir is a new folder where apps' files are to
// be; self is as [Launcher] has it.
func Probe(dir string, self ...string) Force {
	f := Force{Landlock: max(0, landlockVersion())}
	f.Missing = tryUsers(dir)
	if f.Missing == "" {
		f.Users = true
		return f
	}
	f.Seccomp = canFilter()
	f.Sandboxes = true
	if err := f.trySandbox(dir, self); err != nil {
		f.Sandboxes = false
		f.Missing += "; no user namespaces: " + refusal(err)
	}
	return f
}

// tryUsers says what keeps the server from giving each app a user.
func tryUsers(dir string) (missing string) {
	if os.Geteuid() != 0 {
		return "not root: no users of their own"
	}
	if lack := lacking(); lack != "" {
		return "without " + lack + ": no users of their own"
	}
	err := onThread(tryMounts)
	if err == nil {
		err = tryOwning(dir)
	}
	if err != nil {
		return "no users of their own: " + err.Error()
	}
	return ""
}

// trySandbox has a command write to the /tmp of a sandbox.
func (f Force) trySandbox(dir string, self []string) error {
	l := &Launcher{Self: self}
	if err := l.Open(); err != nil {
		return err
	}
	defer l.Close()
	s, err := l.Sandbox("probe")
	if err != nil {
		return err
	}
	defer s.Leave()
	b := &Box{Force: f, Hide: []string{dir}, Write: []string{dir}, Tmp: dir}
	b.In(s)
	cmd := exec.Command("/bin/sh", "-c", `echo $$ >/tmp/probe && read number rest </proc/self/stat && test "$number" = $$`)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if err := b.Start(cmd, func(int) error { return nil }); err != nil {
		return err
	}
	return cmd.Wait()
}

// refusal is err with what to do about it, where that is known.
func refusal(err error) string {
	for _, sysctl := range []struct{ path, refuses, remedy string }{
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1 allows them"},
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000 allows them"},
	} {
		if value, readErr := os.ReadFile(sysctl.path); readErr == nil && strings.TrimSpace(string(value)) == sysctl.refuses {
			return fmt.Sprintf("%v (%s)", err, sysctl.remedy)
		}
	}
	return err.Error()
}

// tryOwning gives the folder to somebody, which some file systems refuse, and others only seem to do: those of a
// host that a virtual machine shares, and of servers that do not believe a root.
func tryOwning(dir string) error {
	const somebody = 65534
	if err := Own(dir, somebody); err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return err
	}
	if stat.Uid != somebody {
		return errors.New(dir + ": its file system keeps no owners")
	}
	return nil
}

func landlockVersion() int {
	version, err := llsys.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

// needed are the capabilities that users of their own take, by what for.
var needed = []struct {
	bit  int
	name string
}{
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},             // mounts
	{unix.CAP_SETUID, "CAP_SETUID"},                   // start as another user
	{unix.CAP_SETGID, "CAP_SETGID"},                   //
	{unix.CAP_CHOWN, "CAP_CHOWN"},                     // give it its files
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},       // read and remove them
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}, //
	{unix.CAP_FOWNER, "CAP_FOWNER"},                   //
	{unix.CAP_KILL, "CAP_KILL"},                       // end it
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},           // find what it started by its environment
}

// lacking is the first needed capability that the server does not have.
func lacking() string {
	var sets [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0]); err != nil {
		return "capabilities (" + err.Error() + ")"
	}
	for _, n := range needed {
		if sets[n.bit/32].Effective&(1<<(n.bit%32)) == 0 {
			return n.name
		}
	}
	return ""
}

// tryMounts makes a namespace and a mount in it, which seccomp or a security module may forbid.
func tryMounts() error {
	if err := ownMounts(); err != nil {
		return err
	}
	return cover("/tmp")
}

// onThread runs f on a thread of its own that ends with it: what f does to the thread goes no further.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer func() {
			if p := recover(); p != nil {
				result <- errors.New("panic")
				panic(p)
			}
		}()
		result <- f()
	}()
	return <-result
}
