package keeper_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/keeper"
	"paas/reserved"
	"paas/rig"
)

// dirVariable makes the test binary a server, or a keeper if none has started it. The folder has a
// file "mode", which tells servers what to do, and gets a file "said" with what happened.
const dirVariable = "TEST_KEEPER_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	p, err := keeper.Inherited()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case p == nil:
		k := &keeper.Keeper{Argv: os.Args, Log: slog.New(slog.DiscardHandler)}
		if err := k.Run(context.Background()); err != nil {
			os.Exit(1)
		}
	default:
		os.Exit(serve(p, dir))
	}
}

// serve is a server: each of its connections gets its process id. The file "mode" has the address
// where it listens, and how it behaves.
func serve(p *keeper.Parent, dir string) int {
	note := func(text string) {
		f, err := os.OpenFile(filepath.Join(dir, "said"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err == nil {
			fmt.Fprintf(f, "%d %s\n", os.Getpid(), text)
			f.Close()
		}
	}
	mode, _ := os.ReadFile(filepath.Join(dir, "mode"))
	words := strings.Fields(string(mode))
	switch words[1] {
	case "exits":
		return 3
	case "hangs":
		select {}
	case "fails":
		p.Fail(errors.New("no luck today"))
		return 1
	}
	l, err := listen(p, words[0])
	if err != nil {
		p.Fail(err)
		return 1
	}
	if conn, err := p.Conn("greeter"); err != nil {
		return 1
	} else if conn != nil {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		note("hears " + strings.TrimSpace(line))
	}
	note(fmt.Sprintf("prepared first=%t takeover=%t root=%q", p.First, p.Takeover, p.Root))
	if err := p.Ready(context.Background()); err != nil {
		return 1
	}
	if words[1] == "breaks" {
		return 4
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, os.Getpid())
			conn.Close()
		}
	}()
	err = p.Follow(ctx, keeper.Handover{
		Free: func(ctx context.Context) {
			if words[1] == "busy" {
				<-ctx.Done()
			}
			note("free")
		},
		Resume: func() { note("resume") },
		Stop: func() {
			note("stop")
			stop()
		},
		Leave: func() {
			note("leave")
			l.Leave(true)
			l.Close()
			stop()
		},
	})
	if err != nil {
		return 1
	}
	return 0
}

func listen(p *keeper.Parent, addr string) (*reserved.Port, error) {
	if f := p.Take(addr); f != nil {
		return reserved.Reopen(f)
	}
	l, err := reserved.Listen(addr)
	if err == nil {
		f, fileErr := l.File()
		p.Hold(addr, f)
		err = fileErr
	}
	return l, err
}

// house is a keeper with its servers.
type house struct {
	t      *testing.T
	dir    string
	addr   string
	keeper *keeper.Keeper
	over   chan error
	end    context.CancelFunc
	// a service manager's socket
	manager *net.UnixConn
}

// newHouse starts a keeper with a server of that mode. The keeper has ended when the test has.
func newHouse(t *testing.T, mode string, set ...func(*keeper.Keeper)) *house {
	h := &house{t: t, dir: t.TempDir(), over: make(chan error, 1)}
	h.addr = freeAddr(t)
	t.Setenv(dirVariable, h.dir)
	name, value, _ := strings.Cut(rig.ExitAtOnce, "=")
	t.Setenv(name, value)
	h.behave(mode)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(h.dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	h.manager = manager
	h.keeper = &keeper.Keeper{Argv: os.Args[:1], Root: "/house", Log: slog.New(slog.DiscardHandler)}
	for _, f := range set {
		f(h.keeper)
	}
	ctx, end := context.WithCancel(context.Background())
	h.end = end
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		h.over <- h.keeper.Run(ctx)
	}()
	t.Cleanup(func() {
		end()
		<-gone
	})
	return h
}

// told blocks until the service manager is told the next state, and returns it.
func (h *house) told() string {
	h.t.Helper()
	h.manager.SetReadDeadline(time.Now().Add(rig.Patience))
	text := make([]byte, 1000)
	n, err := h.manager.Read(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text[:n])
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// behave says how the next servers behave.
func (h *house) behave(mode string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, "mode"), []byte(h.addr+" "+mode), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// said is what the servers have written down.
func (h *house) said() string {
	text, _ := os.ReadFile(filepath.Join(h.dir, "said"))
	return string(text)
}

// answers waits until the server answers, and returns its process id.
func (h *house) answers() (pid int) {
	h.t.Helper()
	rig.Eventually(h.t, "the server answers", func() bool {
		var err error
		pid, err = ask(h.addr)
		return err == nil
	})
	return pid
}

// ask returns the process id of the server that answers at addr.
func ask(addr string) (int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(rig.Patience))
	text, err := io.ReadAll(conn)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// A server that is killed is started again. Who connects meanwhile waits and is answered.
func TestKilledServerComesBack(t *testing.T) {
	h := newHouse(t, "serves")
	h.told()
	before := h.answers()
	for range 3 {
		syscall.Kill(before, syscall.SIGKILL)
		rig.Eventually(t, "it is gone", func() bool { return syscall.Kill(before, 0) == syscall.ESRCH })
		now, err := ask(h.addr)
		if err != nil {
			t.Fatal(err)
		}
		before = now
	}
}

// While a server crashes again and again, a reload starts one at once.
func TestReloadOfACrashedServer(t *testing.T) {
	h := newHouse(t, "serves")
	h.told()
	before := h.answers()
	h.behave("exits")
	syscall.Kill(before, syscall.SIGKILL)
	rig.Eventually(t, "it is gone", func() bool { return syscall.Kill(before, 0) == syscall.ESRCH })
	if err := h.keeper.Reload(t.Context()); rig.Message(err) != "exit status 3" {
		t.Error(err)
	}
	h.behave("serves")
	if err := h.keeper.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	h.answers()
}

// The service manager is told when a server serves, when it is replaced, and when it stops.
func TestServiceManagerIsTold(t *testing.T) {
	h := newHouse(t, "serves")
	h.wantTold("READY=1")
	if err := h.keeper.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantTold("RELOADING=1\nMONOTONIC_USEC=")
	h.wantTold("READY=1")
	h.end()
	h.wantTold("STOPPING=1")
	if err := <-h.over; err != nil {
		t.Error(err)
	}
	rig.WantIn(t, "the log", h.said(), "stop")
}

func (h *house) wantTold(want string) {
	h.t.Helper()
	if state := h.told(); !strings.HasPrefix(state, want) {
		h.t.Errorf("told %q, not %q", state, want)
	}
}

// The first server that cannot serve ends the keeper, with its status.
func TestFirstServerFails(t *testing.T) {
	for mode, want := range map[string]int{"exits": 3, "fails": 1, "breaks": 4} {
		h := newHouse(t, mode)
		err := <-h.over
		if exit, ok := errors.AsType[keeper.ExitError](err); !ok || exit.Status != want {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// A reload replaces the server. No connection is refused meanwhile.
func TestReload(t *testing.T) {
	h := newHouse(t, "serves")
	before := h.answers()
	quit, asked := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-quit:
				asked <- nil
				return
			default:
			}
			if _, err := ask(h.addr); err != nil {
				asked <- err
				return
			}
		}
	}()
	for range 5 {
		if err := h.keeper.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(quit)
	if err := <-asked; err != nil {
		t.Error(err)
	}
	rig.Eventually(t, "the first one has left", func() bool { return syscall.Kill(before, 0) == syscall.ESRCH })
	if now := h.answers(); now == before {
		t.Error("the same server serves")
	}
	rig.WantIn(t, "the log", h.said(), "first=true takeover=false root=\"/house\"", "first=false takeover=true",
		fmt.Sprintf("%d free\n%d leave\n", before, before))
}

// A reload that does not succeed leaves the server as it was, says why, and the next one succeeds.
func TestReloadFails(t *testing.T) {
	h := newHouse(t, "serves", func(k *keeper.Keeper) { k.StartTimeout = time.Second })
	before := h.answers()
	for mode, want := range map[string]string{
		"exits": "exit status 3", "fails": "no luck today", "hangs": "did not answer in time",
		"breaks": "exit status 4",
	} {
		h.behave(mode)
		if err := h.keeper.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", mode, err)
		}
		if now := h.answers(); now != before {
			t.Errorf("%s: another server serves", mode)
		}
	}
	rig.Eventually(t, "the server goes on", func() bool {
		return strings.Contains(h.said(), fmt.Sprintf("%d free\n%d resume\n", before, before))
	})
	h.behave("serves")
	if err := h.keeper.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	rig.Eventually(t, "the new one serves", func() bool { return h.answers() != before })
}

// Somebody who gives up a reload that waits for the server gets the server back as it was.
func TestReloadIsGivenUp(t *testing.T) {
	h := newHouse(t, "busy")
	before := h.answers()
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.keeper.Reload(ctx) }()
	rig.Eventually(t, "the new one is prepared",
		func() bool { return strings.Contains(h.said(), "takeover=true") })
	giveUp()
	if err := <-done; rig.Message(err) != "the reload was given up" {
		t.Error(err)
	}
	rig.Eventually(t, "it goes on", func() bool {
		return strings.Contains(h.said(), fmt.Sprintf("%d free\n%d resume\n", before, before))
	})
	if now := h.answers(); now != before {
		t.Error("another server serves")
	}
}

// A reload with another address opens that and closes the former.
func TestReloadElsewhere(t *testing.T) {
	h := newHouse(t, "serves")
	h.answers()
	former := h.addr
	h.addr = freeAddr(t)
	h.behave("serves")
	if err := h.keeper.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.answers()
	rig.Eventually(t, "the former address is closed", func() bool {
		_, err := ask(former)
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// Each server gets a connection of its own for each service.
func TestServices(t *testing.T) {
	h := newHouse(t, "serves", func(k *keeper.Keeper) {
		n := 0
		k.Services = map[string]func(*net.UnixConn){"greeter": func(conn *net.UnixConn) {
			n++
			fmt.Fprintln(conn, "hello", n)
			io.Copy(io.Discard, conn)
			conn.Close()
		}}
	})
	h.answers()
	if err := h.keeper.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	rig.WantIn(t, "the log", h.said(), "hears hello 1", "hears hello 2")
}

// When the keeper is killed, the server dies, and the port and the locks are free.
func TestKeeperIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only Linux kills a child whose parent has died")
	}
	h := &house{t: t, dir: t.TempDir(), addr: freeAddr(t)}
	h.behave("serves")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirVariable+"="+h.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	server := h.answers()
	cmd.Process.Kill()
	cmd.Wait()
	rig.Eventually(t, "the server dies", func() bool { return syscall.Kill(server, 0) == syscall.ESRCH })
	l, err := net.Listen("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// A server has the keeper's locks: they are not free as long as one of both lives.
func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, "serves", func(k *keeper.Keeper) { k.Locks = []*os.File{f} })
	h.answers()
	f.Close() // as if the keeper had died
	again, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := syscall.Flock(int(again.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
		t.Errorf("the lock is free: %v", err)
	}
}
