package ports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also a program that listens.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "program" {
		program()
		return
	}
	os.Exit(m.Run())
}

// program executes the lines of its standard input and answers each with a line: "listen ADDR",
// "share ADDR" (with SO_REUSEPORT), "accept" a connection and keep it, or "close" the listening
// socket.
func program() {
	var l net.Listener
	var kept []net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		verb, addr, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch verb {
		case "listen", "share":
			l, err = listen(addr, verb == "share")
		case "accept":
			var conn net.Conn
			conn, err = l.Accept()
			kept = append(kept, conn)
		case "close":
			err = l.Close()
		}
		fmt.Println(err)
	}
	for _, conn := range kept {
		conn.Close()
	}
}

func listen(addr string, share bool) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if share {
			raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			})
		}
		return err
	}}
	network := "tcp"
	if only6, ok := strings.CutPrefix(addr, "only6:"); ok {
		network, addr = "tcp6", only6
	}
	return config.Listen(context.Background(), network, addr)
}

// actor is a running program.
type actor struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// newActor starts a program, as another user if uid is not 0. It ends with the test.
func newActor(t *testing.T, uid int) *actor {
	t.Helper()
	a := &actor{t: t, cmd: exec.Command(self(t), "program")}
	a.cmd.Env = []string{"GORACE=atexit_sleep_ms=0"}
	if uid != 0 {
		a.cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
		}
	}
	var err error
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.out = bufio.NewScanner(out)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.in.Close()
		a.cmd.Wait()
	})
	return a
}

// self returns a copy of this program that all users may execute.
func self(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "paas-ports")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// does sends the program a line and returns its answer: "<nil>" or an error.
func (a *actor) does(format string, args ...any) string {
	a.t.Helper()
	fmt.Fprintf(a.in, format+"\n", args...)
	if !a.out.Scan() {
		a.t.Fatal("the program has ended")
	}
	return a.out.Text()
}

func (a *actor) must(format string, args ...any) {
	a.t.Helper()
	if said := a.does(format, args...); said != "<nil>" {
		a.t.Fatalf(format+": %s", append(args, said)...)
	}
}

// holds reports whether the program has the socket open.
func (a *actor) holds(inode uint32) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", a.cmd.Process.Pid))
	for _, link := range links {
		if target, _ := os.Readlink(link); target == fmt.Sprintf("socket:[%d]", inode) {
			return true
		}
	}
	return false
}

// freePort returns a port that is probably free.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// scene is a victim, a thief, and the victim's Owner.
type scene struct {
	name          string
	owner         *Owner
	victim, thief *actor
}

// scenes runs f with victim and thief as two users, if possible, and as the same user.
func scenes(t *testing.T, f func(t *testing.T, s scene)) {
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	t.Run("process", func(t *testing.T) {
		victim := newActor(t, 0)
		f(t, scene{"process", &Owner{Holds: victim.holds}, victim, newActor(t, 0)})
	})
	t.Run("user", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("SKIP: starting programs as other users needs root")
		}
		const victim, thief = 71001, 71002
		f(t, scene{"user", &Owner{UID: victim}, newActor(t, victim), newActor(t, thief)})
	})
}

// dial returns the outcome of a connection to the port at 127.0.0.1.
func (s scene) dial(port int) string {
	conn, err := s.owner.Dial(context.Background(), at("127.0.0.1", port))
	switch {
	case errors.Is(err, ErrForeign):
		return "foreign"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case err != nil:
		return err.Error()
	}
	conn.Close()
	return "connected"
}

func at(host string, port int) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}

func TestDialOwner(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "::"} {
			for _, verb := range []string{"listen", "share"} {
				port := freePort(t)
				if got := s.dial(port); got != "refused" {
					t.Errorf("when nobody listens: %s", got)
				}
				s.victim.must("%s %s", verb, at(host, port))
				for range 3 {
					if got := s.dial(port); got != "connected" {
						t.Errorf("%s %s: %s", verb, host, got)
					}
				}
				s.victim.must("close")
				if got := s.dial(port); got != "refused" {
					t.Errorf("after the socket was closed: %s", got)
				}
			}
		}
	})
}

// Another program has the port before the owner, after it, or instead of it.
func TestDialThief(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "::"} {
			port := freePort(t)
			s.thief.must("listen %s", at(host, port))
			if got := s.dial(port); got != "foreign" {
				t.Errorf("thief first, at %s: %s", host, got)
			}
			s.thief.must("close")
			s.victim.must("listen %s", at("127.0.0.1", port))
			if got := s.dial(port); got != "connected" {
				t.Errorf("owner: %s", got)
			}
			s.victim.must("close")
			s.thief.must("listen %s", at(host, port))
			if got := s.dial(port); got != "foreign" {
				t.Errorf("thief last, at %s: %s", host, got)
			}
			s.thief.must("close")
		}
	})
}

// No other program gets a socket that would receive our connections, not even on a more specific
// address; except a program of the same user, if the owner shares the port.
func TestDialBeside(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		for _, mine := range []string{"127.0.0.1", "0.0.0.0", "::"} {
			for _, theirs := range []string{"127.0.0.1", "0.0.0.0", "::"} {
				for _, verb := range []string{"listen", "share"} {
					port := freePort(t)
					s.victim.must("%s %s", verb, at(mine, port))
					if got := s.dial(port); got != "connected" {
						t.Errorf("%s %s: %s", verb, mine, got)
					}
					want := "connected"
					switch said := s.thief.does("share %s", at(theirs, port)); {
					case strings.Contains(said, "address already in use"):
					case said != "<nil>":
						t.Fatal(said)
					case s.name == "user" || verb == "listen":
						t.Errorf("%s %s: the thief listens at %s too", verb, mine, theirs)
					default:
						want = "foreign"
					}
					for range 3 {
						if got := s.dial(port); got != want {
							t.Errorf("%s %s, and the thief at %s: %s", verb, mine, theirs, got)
						}
					}
					if want == "foreign" {
						s.thief.must("close")
						if got := s.dial(port); got != "connected" {
							t.Errorf("after the thief has ended: %s", got)
						}
					}
					s.victim.must("close")
				}
			}
		}
	})
}

// A socket that gets none of our connections does not matter; else a neighbour could stop any app.
func TestDialOtherAddress(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		for _, theirs := range []string{"127.0.0.2", "::1", "only6:[::]"} {
			port := freePort(t)
			s.victim.must("listen %s", at("127.0.0.1", port))
			if only6, ok := strings.CutPrefix(theirs, "only6:"); ok {
				s.thief.must("listen only6:%s:%d", only6, port)
			} else {
				s.thief.must("listen %s", at(theirs, port))
			}
			for range 2 {
				if got := s.dial(port); got != "connected" {
					t.Errorf("the thief at %s: %s", theirs, got)
				}
			}
			s.victim.must("close")
			if got := s.dial(port); got != "refused" {
				t.Errorf("the thief at %s exclusive: %s", theirs, got)
			}
			s.thief.must("close")
		}
	})
}

// A thief listens for a moment, takes a connection, and is gone before anybody looks.
func TestBriefThief(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		connect := func(port int) net.Conn {
			conn, err := net.Dial("tcp", at("127.0.0.1", port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		// before the owner
		port := freePort(t)
		before := s.owner.sockets()
		s.thief.must("listen %s", at("127.0.0.1", port))
		conn := connect(port)
		s.thief.must("accept")
		s.thief.must("close")
		// on 127.0.0.1 the thief's connection is in the way
		s.victim.must("listen %s", at("127.0.0.2", port))
		if err := s.owner.check(before, conn); err == nil {
			t.Error("nobody listens, but the thief's connection was accepted")
		}
		s.victim.must("close")
		if s.name == "user" {
			return
		}
		// beside the owner
		port = freePort(t)
		s.victim.must("share %s", at("0.0.0.0", port))
		if got := s.dial(port); got != "connected" {
			t.Fatal(got)
		}
		s.victim.must("accept")
		before = s.owner.sockets()
		s.thief.must("share %s", at("127.0.0.1", port)) // more exact: it gets them all
		conn = connect(port)
		s.thief.must("accept")
		s.thief.must("close")
		if err := s.owner.check(before, conn); !errors.Is(err, ErrForeign) {
			t.Errorf("the thief has the connection: %v", err)
		}
		conn = connect(port)
		if err := s.owner.check(before, conn); err != nil {
			t.Errorf("a connection that waits for the owner: %v", err)
		}
		s.victim.must("accept")
		if err := s.owner.check(before, conn); err != nil {
			t.Errorf("a connection that the owner has accepted: %v", err)
		}
		s.victim.must("close")
		if err := s.owner.check(before, conn); err == nil {
			t.Errorf("the connection is accepted although nobody listens any more")
		}
	})
}

// A server in this process has neither a user nor a child to check.
func TestListen(t *testing.T) {
	o := &Owner{}
	l, err := o.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	s := scene{owner: o, thief: newActor(t, 0)}
	if got := s.dial(port); got != "connected" {
		t.Error(got)
	}
	l.Close()
	s.thief.must("listen %s", at("127.0.0.1", port))
	if got := s.dial(port); got != "foreign" {
		t.Error(got)
	}
}

func TestBusiest(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: starting programs as other users needs root")
	}
	const uid = 71003
	a := newActor(t, uid)
	port := freePort(t)
	a.must("listen %s", at("127.0.0.1", port))
	if who, count := Busiest(port, port); who != uid || count != 1 {
		t.Errorf("user %d listens on %d", who, count)
	}
	if _, count := Busiest(port+1, port); count != 0 {
		t.Errorf("Busiest found %d ports, want none", count)
	}
}

func TestTakes(t *testing.T) {
	for _, test := range []struct {
		listens string
		only6   bool
		want    [2]bool // what goes to 127.0.0.1, and to ::1
	}{
		{"127.0.0.1", false, [2]bool{true, false}},
		{"::ffff:127.0.0.1", false, [2]bool{true, false}},
		{"0.0.0.0", false, [2]bool{true, false}},
		{"::ffff:0.0.0.0", false, [2]bool{true, false}},
		{"127.0.0.2", false, [2]bool{}},
		{"::", false, [2]bool{true, true}},
		{"::", true, [2]bool{false, true}},
		{"::1", false, [2]bool{false, true}},
	} {
		s := socket{addr: netip.MustParseAddr(test.listens), only6: test.only6}
		got := [2]bool{
			s.takes(netip.MustParseAddr("127.0.0.1")), s.takes(netip.MustParseAddr("::1")),
		}
		if got != test.want {
			t.Errorf("%s: takes = %v", test.listens, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		f.Fatal(err)
	}
	defer l.Close()
	f.Add([]byte{})
	f.Add([]byte{20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // done
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff})
	f.Add(append([]byte{92, 0, 0, 0, 20, 0, 0, 0}, make([]byte, 84)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, _, err := parse(data, nil)
		if len(found) > len(data)/72 {
			t.Errorf("found %d sockets in %d bytes, err = %v", len(found), len(data), err)
		}
	})
}

// The cost of a check: some microseconds for each new connection.
func BenchmarkDial(b *testing.B) {
	o := &Owner{}
	l, err := o.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for name, dial := range map[string]func() (net.Conn, error){
		"checked": func() (net.Conn, error) {
			return o.Dial(context.Background(), l.Addr().String())
		},
		"net": func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				conn, err := dial()
				if err != nil {
					b.Fatal(err)
				}
				conn.Close()
			}
		})
	}
}

// Concurrent calls that find another program's socket check it once, not each, and find the owner
// as soon as it listens.
func TestThiefCostsLittle(t *testing.T) {
	var looks atomic.Int32
	victim, thief := newActor(t, 0), newActor(t, 0)
	s := scene{owner: &Owner{Holds: func(inode uint32) bool {
		looks.Add(1)
		return victim.holds(inode)
	}}}
	port := freePort(t)
	thief.must("listen %s", at("127.0.0.1", port))
	began := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 10 {
				if got := s.dial(port); got != "foreign" {
					t.Error(got)
				}
			}
		})
	}
	all.Wait()
	if most := 1 + int32(time.Since(began)/foreignTTL); looks.Load() > most {
		t.Errorf("%d checks in %s", looks.Load(), time.Since(began))
	}
	thief.must("close")
	victim.must("listen %s", at("127.0.0.1", port))
	if got := s.dial(port); got != "connected" {
		t.Error(got)
	}
}
