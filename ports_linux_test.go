package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"paas/rig"
)

// inOwnNet is the variable that is set if this process has a network of its own, in which it may
// use every port.
const inOwnNet = "PAAS_TEST_OWN_NET"

// TestPorts runs the scripts of testdata/ports. As root it runs them three times, each in a network
// of its own: as root, as an ordinary user with user namespaces (if the kernel has any), and as one
// without.
func TestPorts(t *testing.T) {
	skipRaced(t)
	if os.Getenv(inOwnNet) != "" || os.Getuid() != 0 {
		params := scriptParams()
		params.Dir = "testdata/ports"
		testscript.Run(t, params)
		return
	}
	t.Setenv(inOwnNet, "1")
	const session, file = "^TestPorts$", "testdata/ports/theft.txtar"
	t.Run("root", func(t *testing.T) {
		ownNet(t)
		out, err := exec.Command(os.Args[0], "-test.run="+session, "-test.v").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestPorts/theft") {
			t.Errorf("%v:\n%s", err, out)
		}
	})
	t.Run("user", func(t *testing.T) {
		ownNet(t)
		rig.AsNobody(t, session, file)
	})
	dir := t.TempDir() // made here: the subtest changes its root folder
	t.Run("user without namespaces", func(t *testing.T) {
		ownNet(t)
		noUserNamespaces(t, dir)
		rig.AsNobody(t, session, file)
	})
}

// ownNet gives the programs that the test starts a network of their own, which has only a loopback
// interface.
func ownNet(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("SKIP: cannot make a network namespace: %v", err)
	}
	if err := raiseLoopback(); err != nil {
		t.Fatal(err)
	}
}

// raiseLoopback does what "ip link set lo up" does.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// noUserNamespaces makes the kernel refuse user namespaces to the programs that the test starts.
// The kernel does so for a process whose root folder is not the root of its mounts (clone(2),
// EPERM); dir becomes this root folder. The test must have called ownNet before.
func noUserNamespaces(t *testing.T, dir string) {
	t.Helper()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("/", dir, "", unix.MS_BIND|unix.MS_REC, "")
	}
	here, _ := os.Getwd()
	if err == nil {
		err = unix.Chroot(dir)
	}
	if err == nil {
		err = os.Chdir(here)
	}
	if err != nil {
		t.Fatal(err)
	}
}
