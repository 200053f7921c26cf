package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"paas/rig"
)

// TestNetwork runs testdata/net as root, in a network of its own.
func TestNetwork(t *testing.T) {
	skipRaced(t)
	if os.Getenv(inOwnNet) != "" {
		params := scriptParams()
		params.Dir = "testdata/net"
		testscript.Run(t, params)
		return
	}
	rig.Need(t, "nft")
	if os.Getuid() != 0 {
		t.Skip("SKIP: a firewall needs root")
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
	ownNet(t)
	if err := addAddress("169.254.169.254"); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"169.254.169.254:80", "169.254.169.254:53", "127.0.0.1:5432"} {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestNetwork/network") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestIsolationWithoutNamespaces runs the isolation script as an ordinary user without user
// namespaces, as in most containers.
func TestIsolationWithoutNamespaces(t *testing.T) {
	skipRaced(t)
	if os.Getuid() != 0 {
		t.Skip("SKIP: taking user namespaces away needs root")
	}
	dir := t.TempDir() // made here: the subtest changes its root folder
	t.Run("refused", func(t *testing.T) {
		ownNet(t)
		noUserNamespaces(t, dir)
		rig.AsNobody(t, "^TestScripts$/^isolation$", "testdata/script/isolation.txtar")
	})
}

// addAddress adds an address to the loopback interface.
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
