package doctor

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"net/http"
	"net/http/httptest"
	"net/netip"

	"golang.org/x/sys/unix"
)

func TestGit(t *testing.T) {
	if err := Git(t.Context()); err != nil {
		t.Errorf("with this machine's git: %v", err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := Git(t.Context()); err == nil || err.Error() != "git is not installed" {
		t.Errorf("without git: %v", err)
	}
	for version, ok := range map[string]bool{
		"2.10.5": false, "2.11.0": true, "2.39.5": true, "3.0.0-rc1": true, "1.99.0": false, "2.50.1 (Apple Git-155)": true,
	} {
		script := "#!/bin/sh\necho 'git version " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Git(t.Context()); (err == nil) != ok {
			t.Errorf("git %s: %v", version, err)
		}
	}
}

// withoutLandlock makes the kernel answer errno when the calling thread asks for Landlock.
func withoutLandlock(t *testing.T, errno syscall.Errno) {
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the system call
		{Code: equal, K: unix.SYS_LANDLOCK_CREATE_RULESET, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	}
	if err != nil {
		t.Skipf("SKIP: no filter of system calls: %v", err)
	}
}

func TestLandlock(t *testing.T) {
	if err := Landlock(); err != nil {
		t.Logf("NOT TESTED: a kernel with Landlock: %v", err)
	}
	for errno, want := range map[syscall.Errno]string{unix.ENOSYS: "no Landlock", unix.EOPNOTSUPP: "turned off"} {
		t.Run(want, func(t *testing.T) {
			runtime.LockOSThread() // the thread, with its filter, ends with the test
			withoutLandlock(t, errno)
			if err := Landlock(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the finding is %v", err)
			}
		})
	}
}

func TestListeners(t *testing.T) {
	has := func(addr string) bool {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("SKIP: %v", err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		return slices.Contains(Listeners(port, port), Listener{port, os.Getuid()})
	}
	for addr, all := range map[string]bool{
		"0.0.0.0:0": true, ":0": true, "127.0.0.1:0": false, "[::1]:0": false,
	} {
		if has(addr) != all {
			t.Errorf("%s: all addresses: %v", addr, !all)
		}
	}
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; len(Listeners(port+1, 65535)) > 0 && slices.Contains(Listeners(port+1, 65535), Listener{port, os.Getuid()}) {
		t.Error("a port outside of the range is reported")
	}
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o700, 0o701, 0o710, 0o755, 0o777, 0o777 | os.ModeSticky} {
		os.Chmod(dir, mode)
		if open, err := Open(dir); err != nil || open != (mode != 0o700) {
			t.Errorf("a folder with %v: open %v, %v", mode, open, err)
		}
		if writable, err := Writable(file); err != nil || writable != (mode == 0o777) {
			t.Errorf("a file in a folder with %v: writable %v, %v", mode, writable, err)
		}
	}
	os.Chmod(dir, 0o755)
	for _, mode := range []os.FileMode{0o600, 0o644, 0o620, 0o602} {
		os.Chmod(file, mode)
		if writable, err := Writable(file); err != nil || writable != (mode&0o022 != 0) {
			t.Errorf("a file with %v: writable %v, %v", mode, writable, err)
		}
	}
	os.Chmod(dir, 0o700)
	if writable, err := Writable(file); writable || err != nil {
		t.Errorf("a file in a closed folder: %v, %v", writable, err)
	}
	if writable, err := Writable(filepath.Join(dir, "none")); writable || err != nil {
		t.Errorf("a file that is not there: %v, %v", writable, err)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	mine, other := filepath.Join(dir, "mine"), filepath.Join(dir, "other")
	for _, path := range []string{mine, other} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{mine, other, filepath.Join(dir, "none")}
	if foreign, err := Foreign(dir, paths...); len(foreign) > 0 || err != nil {
		t.Errorf("of one's own: %v, %v", foreign, err)
	}
	if os.Getuid() != 0 {
		t.Skip("SKIP: giving a file away needs root")
	}
	if err := os.Chown(other, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if foreign, err := Foreign(dir, paths...); !slices.Equal(foreign, []string{other}) || err != nil {
		t.Errorf("after chown: %v, %v", foreign, err)
	}
}

func TestClock(t *testing.T) {
	date := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
	}))
	defer server.Close()
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		date = time.Now().Add(-off)
		if ahead, err := Clock(t.Context(), server.Client(), server.URL); err != nil || (ahead-off).Abs() > 10*time.Second {
			t.Errorf("ahead %v, %v; want %v", ahead, err, off)
		}
	}
	server.Close()
	if _, err := Clock(t.Context(), server.Client(), server.URL); err == nil {
		t.Error("a server that does not answer has a clock")
	}
}

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	here := netip.MustParseAddr("127.0.0.1")
	if err := Reach(t.Context(), here, port); err != nil {
		t.Errorf("an open port: %v", err)
	}
	l.Close()
	if err := Reach(t.Context(), here, port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
}

func TestElsewhere(t *testing.T) {
	here, there := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("203.0.113.7")
	addrs := []netip.Addr{here, netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), there}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		ip, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		addrs = append(addrs, ip)
	}
	if elsewhere, err := Elsewhere(addrs); !slices.Equal(elsewhere, []netip.Addr{there}) || err != nil {
		t.Errorf("elsewhere: %v, %v", elsewhere, err)
	}
}
