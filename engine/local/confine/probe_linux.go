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

// Probe finds out by trying what the server can put in force. dir is a new folder on the file
// system of the apps' files. self is as in [Launcher].
func Probe(dir string, self ...string) Isolation {
	i := Isolation{Missing: tryUsers(dir)}
	if version, err := llsys.LandlockGetABIVersion(); err == nil {
		i.Landlock = version
	}
	if i.Missing == "" {
		i.Users = true
		return i
	}
	i.Seccomp = canFilter()
	i.Sandboxes = true
	if err := i.trySandbox(dir, self); err != nil {
		i.Sandboxes = false
		i.Missing += "; no user namespaces: " + withRemedy(err)
	}
	return i
}

// tryUsers says why the server cannot give each app a user, or "".
func tryUsers(dir string) (missing string) {
	if os.Geteuid() != 0 {
		return "not root: no user per app"
	}
	if lack := missingCapability(); lack != "" {
		return "without " + lack + ": no user per app"
	}
	err := onThread(tryMounts)
	if err == nil {
		err = tryChown(dir)
	}
	if err != nil {
		return "no user per app: " + err.Error()
	}
	return ""
}

// trySandbox lets a command in a sandbox write to its /tmp.
func (i Isolation) trySandbox(dir string, self []string) error {
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
	b := &Box{Isolation: i, Hide: []string{dir}, Write: []string{dir}, Tmp: dir}
	b.In(s)
	const script = `echo $$ >/tmp/probe && read pid rest </proc/self/stat && test "$pid" = $$`
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if err := b.Start(cmd, func(int) error { return nil }); err != nil {
		return err
	}
	return cmd.Wait()
}

// withRemedy adds to err what would help, if known.
func withRemedy(err error) string {
	for _, sysctl := range []struct{ path, off, on string }{
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "0"},
		{"kernel/unprivileged_userns_clone", "0", "1"},
		{"user/max_user_namespaces", "0", "10000"},
	} {
		value, readErr := os.ReadFile("/proc/sys/" + sysctl.path)
		if readErr == nil && strings.TrimSpace(string(value)) == sysctl.off {
			name := strings.ReplaceAll(sysctl.path, "/", ".")
			return fmt.Sprintf("%v (sysctl %s=%s allows them)", err, name, sysctl.on)
		}
	}
	return err.Error()
}

// tryChown gives the folder to another user. Some file systems refuse that, and some only pretend:
// those that a virtual machine shares with its host, and NFS servers that do not trust root.
func tryChown(dir string) error {
	const nobody = 65534
	if err := Own(dir, nobody); err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return err
	}
	if stat.Uid != nobody {
		return errors.New(dir + ": its file system does not store owners")
	}
	return nil
}

// needed are the capabilities that a user per app takes, and what each is for.
var needed = []struct {
	bit  int
	name string
}{
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},             // mounts
	{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},           // enter the apps' root
	{unix.CAP_SETUID, "CAP_SETUID"},                   // start as another user
	{unix.CAP_SETGID, "CAP_SETGID"},                   //
	{unix.CAP_CHOWN, "CAP_CHOWN"},                     // give the user its files
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},       // read and remove them
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}, //
	{unix.CAP_FOWNER, "CAP_FOWNER"},                   //
	{unix.CAP_KILL, "CAP_KILL"},                       // kill its processes
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},           // find its processes by their environment
}

// missingCapability returns the first needed capability that the server lacks, or "".
func missingCapability() string {
	var sets [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{
		Version: unix.LINUX_CAPABILITY_VERSION_3,
	}, &sets[0]); err != nil {
		return "capabilities (" + err.Error() + ")"
	}
	for _, n := range needed {
		if sets[n.bit/32].Effective&(1<<(n.bit%32)) == 0 {
			return n.name
		}
	}
	return ""
}

// tryMounts makes mounts in a new namespace. Seccomp or a security module may forbid it.
func tryMounts() error {
	if err := enterSharedRoot(); err != nil {
		return err
	}
	return ownMounts()
}

// onThread runs f on a new thread that ends with it, so that changes of the thread affect nothing
// else.
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
