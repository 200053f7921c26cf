package main

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"paas/runtime/rig"
)

// TestNetwork runs the session testdata/net by root, in a network with addresses of its own.
func TestNetwork(t *testing.T) {
	if os.Getenv(inOwnNet) != "" {
		params := sessions()
		params.Dir = "testdata/net"
		testscript.Run(t, params)
		return
	}
	rig.Need(t, "nft")
	if os.Getuid() != 0 {
		t.Skip("SKIP: a firewall takes root")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("testdata/net/network.txtar")
	if err != nil {
		t.Fatal(err)
	}
	rig.Write(t, dir, map[string]string{"testdata/net/network.txtar": string(script)})
	again := exec.Command(os.Args[0], "-test.run=^TestNetwork$", "-test.v")
	again.Dir = dir
	again.Env = append(os.Environ(), inOwnNet+"=1")
	var out []byte
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = raiseLoopback()
		}
		if err == nil {
			err = addAddress("169.254.169.254")
		}
		for _, addr := range []string{"169.254.169.254:80", "169.254.169.254:53", "127.0.0.1:5432"} {
			if err == nil {
				var listener net.Listener
				if listener, err = net.Listen("tcp", addr); err == nil {
					defer listener.Close()
				}
			}
		}
		if err == nil {
			out, err = again.CombinedOutput()
		}
		done <- err
	}()
	if err := <-done; err != nil || !strings.Contains(string(out), "--- PASS: TestNetwork/network") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// addAddress gives the loopback interface one more address.
func addAddress(addr string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo:1")
	if err == nil {
		err = request.SetInet4Addr(net.ParseIP(addr).To4())
	}
	if err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request)
}
