package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// inOwnNet is set where this process has a network of its own, of which it may take every port.
const inOwnNet = "PAAS_TEST_OWN_NET"

// TestPorts runs the session testdata/ports as the user who runs the tests; where that is root, in a network of
// its own, and once more as somebody who is not root.
func TestPorts(t *testing.T) {
	if os.Getenv(inOwnNet) != "" || os.Getuid() != 0 {
		params := sessions()
		params.Dir = "testdata/ports"
		testscript.Run(t, params)
		return
	}
	const nobody = 65534 // whom ssh-keygen finds in the list of users
	for name, uid := range map[string]uint32{"root": 0, "nobody": nobody} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "paas-ports") // a test's own folder lies where others may not go
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			copyFile(t, os.Args[0], filepath.Join(dir, "paas.test"))
			copyFile(t, "testdata/ports/theft.txtar", filepath.Join(dir, "testdata/ports/theft.txtar"))
			err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error { return os.Chown(path, int(uid), int(uid)) })
			if err != nil {
				t.Fatal(err)
			}
			again := exec.Command(filepath.Join(dir, "paas.test"), "-test.run=^TestPorts$", "-test.v")
			again.Dir = dir
			again.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, inOwnNet+"=1")
			again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := outputInOwnNet(again)
			if err != nil || !strings.Contains(string(out), "--- PASS: TestPorts/theft") {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

// outputInOwnNet runs cmd in a network that nobody else is in, with a loopback interface alone.
func outputInOwnNet(cmd *exec.Cmd) (out []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = raiseLoopback(); err == nil {
			out, err = cmd.CombinedOutput()
		}
	}()
	<-done
	return out, err
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

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
