package receiver

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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/frame"
	"paas/rig"
	"paas/volume"
)

// The test binary is also the hooks that git runs, the ssh that it runs, and a server that can be
// killed.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	switch {
	case IsHook(name):
		root := filepath.Dir(filepath.Dir(filepath.Dir(os.Args[0])))
		f, err := os.OpenFile(filepath.Join(root, "hook-env"), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			fmt.Fprintf(f, "%d %s\n%s\n", os.Getpid(), name, strings.Join(os.Environ(), "\n"))
			f.Close()
		}
		// Not os.Exit: built to detect races, a program then lingers for a second.
		syscall.Exit(Hook(name, os.Stdin, os.Stdout, os.Environ()...))
	case os.Getenv("TEST_TRANSPORT") != "":
		syscall.Exit(
			transport(
				os.Getenv("TEST_TRANSPORT"), os.Args[len(os.Args)-2], os.Args[len(os.Args)-1],
			),
		)
	case os.Getenv("TEST_SERVER") != "":
		serveUntilKilled(os.Getenv("TEST_SERVER"), os.Getenv("TEST_SOCKET"), os.Getenv("TEST_AT"))
	}
	if _, err := os.Stat("/dev/shm"); err == nil && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", "/dev/shm") // waiting for a disk would only make the tests slower
	}
	os.Exit(m.Run())
}

// transport carries a git session to the server listening on socket, as ssh would.
func transport(socket, target, command string) int {
	who, _, _ := strings.Cut(target, "@")
	service, app, _ := strings.Cut(command, " ")
	conn, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	hello := strings.Join(
		[]string{who, service, strings.Trim(app, "'/"), os.Getenv("GIT_PROTOCOL")}, "\x00",
	)
	if frame.Write(conn, 'c', []byte(hello)) != nil {
		return 255
	}
	go func() {
		io.Copy(frame.Writer{To: conn, Kind: 'i'}, os.Stdin)
		frame.Write(conn, '.', nil)
	}()
	for in := bufio.NewReader(conn); ; {
		k, content, err := frame.Read(in)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "connection ended")
			return 255
		case k == 'o':
			os.Stdout.Write(content)
		case k == 'e':
			os.Stderr.Write(content)
		case k == 'x':
			return int(content[0])
		}
	}
}

// serveTransport serves the sessions that transport connects to l.
func serveTransport(r *Receiver, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, hello, err := frame.Read(conn)
			if err != nil {
				return
			}
			args := strings.Split(string(hello), "\x00")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			stdin, w := io.Pipe()
			go func() {
				for in := bufio.NewReader(conn); ; {
					k, content, err := frame.Read(in)
					if err != nil {
						w.CloseWithError(io.ErrUnexpectedEOF)
						cancel()
						return
					}
					if k == '.' {
						w.Close()
					} else {
						w.Write(content)
					}
				}
			}()
			status := r.Serve(ctx, Request{
				Actor: volume.Actor{By: args[0]}, Client: everybody{r.Volume}, Service: args[1], App: args[2], Protocol: args[3], Stdin: stdin,
				Stdout: frame.Writer{To: conn, Kind: 'o'}, Stderr: frame.Writer{To: conn, Kind: 'e'},
			})
			stdin.Close()
			frame.Write(conn, 'x', []byte{byte(status)})
		}()
	}
}

// everybody may do everything.
type everybody struct{ *volume.Volume }

func (e everybody) Admit(app string) (volume.App, error) { return e.App(app) }

func (e everybody) Create(app string) (volume.App, error) { return e.Volume.Create(app) }

// fakeRuntime does with each release what the file fate in its tree says: "fail REASON", "hang"
// before it decides, "late" (ready, but never live), anything else: ready, and live once it is
// committed.
func fakeRuntime(ctx context.Context, vol *volume.Volume) {
	started := map[string]bool{}
	for ctx.Err() == nil {
		apps, _ := vol.Apps()
		for _, name := range apps {
			app, err := vol.App(name)
			if err != nil {
				continue
			}
			for _, n := range app.Numbers() {
				step(app, n, started)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func step(app volume.App, n int, started map[string]bool) {
	status, _ := app.Status(n)
	release, err := app.Release(n)
	key := fmt.Sprint(app.Dir(), n)
	if err != nil || status.State.Over() || release.Settings.Mode == volume.OnlyFiles {
		return
	}
	tree := app.BuildTree(release.Build)
	fate, _ := os.ReadFile(filepath.Join(tree, "fate"))
	verb, reason, _ := strings.Cut(strings.TrimSpace(string(fate)), " ")
	switch {
	case cancelled(app, n):
		app.SetStatus(n, volume.Status{State: volume.Cancelled})
	case status.State == volume.Queued || status.State != volume.Ready && !started[key]:
		started[key] = true
		os.WriteFile(
			app.ReleaseLog(n), []byte("-----> Building "+release.String()+"\n       compiled\n"),
			0o644,
		)
		app.SetStatus(n, volume.Status{State: volume.Building})
	case status.State == volume.Building && verb == "fail":
		app.SetStatus(
			n, volume.Status{State: volume.Failed, Reason: reason, Hint: "look at line 3"},
		)
	case status.State == volume.Building && verb == "hang":
	case status.State == volume.Building:
		built := volume.Built{Processes: map[string]string{"web": "serve"}}
		if verb == "worker" {
			built.Processes = map[string]string{"worker": "work"}
		}
		app.SetBuilt(release.Build, built)
		app.SetStatus(n, volume.Status{State: volume.Ready})
	case status.State == volume.Ready && app.Committed(n) && verb != "late":
		if live := app.Live(); live > 0 {
			defer app.SetStatus(live, volume.Status{State: volume.Retired})
		}
		app.SetLive(n)
		app.SetStatus(n, volume.Status{State: volume.Live})
	}
}

// server is a receiver with a runtime, and the address to push to.
type server struct {
	*Receiver
	t      testing.TB
	socket string
	home   string
	stop   func()
}

func newReceiver(root string) *Receiver {
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return &Receiver{
		MaxPush: 512 << 20, MaxFiles: 200_000, MaxTree: 2 << 30,
		Volume: &volume.Volume{Root: root, Poll: 10 * time.Millisecond},
		Self:   os.Executable,
		URL:    func(app string) string { return "http://" + app + ".test" },
		Advice: func(r volume.Remedy) string { return strings.TrimSpace(string(r.Do) + " " + r.App) },
		Log:    log,
	}
}

// newServer runs a server on a volume of its own.
func newServer(t testing.TB, set ...func(*Receiver)) *server {
	return startServer(t, t.TempDir(), set...)
}

// startServer runs a server on the volume at root.
func startServer(t testing.TB, root string, set ...func(*Receiver)) *server {
	t.Helper()
	s := &server{Receiver: newReceiver(root), t: t, home: t.TempDir()}
	s.socket = socketPath(t)
	for _, f := range set {
		f(s.Receiver)
	}
	if err := s.Volume.Open(); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	running, stopRuntime := context.WithCancel(context.Background())
	parts.Go(func() { fakeRuntime(running, s.Volume) })
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go serveTransport(s.Receiver, l)
	s.stop = sync.OnceFunc(func() {
		l.Close()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
		stopRuntime()
		parts.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("/tmp", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// serveUntilKilled is the body of the server process that tests kill; at is where it kills itself.
func serveUntilKilled(root, socket, at string) {
	r := newReceiver(root)
	r.breakpoint = func(where string) {
		if where == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	r.Mode = volume.Mode(os.Getenv("TEST_MODE"))
	if err := errors.Join(r.Volume.Open(), r.Prepare()); err != nil {
		panic(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	go fakeRuntime(context.Background(), r.Volume)
	go serveTransport(r, l)
	panic(r.Run(context.Background()))
}

// child starts a server process on root, which kills itself at the named place.
func child(t *testing.T, root, at string, env ...string) (socket string, process *exec.Cmd) {
	t.Helper()
	socket = socketPath(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_SERVER="+root, "TEST_SOCKET="+socket, "TEST_AT="+at)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	rig.Eventually(t, "the server process is up", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return socket, cmd
}

func (s *server) app(name string) volume.App {
	s.t.Helper()
	app, err := s.Volume.App(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return app
}

func (s *server) ref(app, name string) string {
	s.t.Helper()
	ref, err := s.repo(s.app(app)).Ref(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// clone is somebody's working copy.
type clone struct {
	t      testing.TB
	dir    string
	home   string
	socket string
}

// newClone makes a working copy with one commit, whose remote paas is the app.
func (s *server) newClone(app string) *clone { return newClone(s.t, s.socket, "alice", app) }

func newClone(t testing.TB, socket, who, app string) *clone {
	t.Helper()
	c := &clone{t: t, dir: t.TempDir(), home: t.TempDir(), socket: socket}
	c.git("init", "-q", "-b", "main")
	c.git("remote", "add", "paas", "ssh://"+who+"@host/"+app)
	c.commit("one", "hello", "hello\n")
	return c
}

func (c *clone) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + c.home,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A",
		"GIT_AUTHOR_EMAIL=a@b.c",
		"GIT_COMMITTER_NAME=A",
		"GIT_COMMITTER_EMAIL=a@b.c",
		"GIT_SSH_COMMAND=" + os.Args[0],
		"GIT_SSH_VARIANT=ssh",
		"TEST_TRANSPORT=" + c.socket,
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// try runs git and returns its output.
func (c *clone) try(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

// git runs git, which must succeed, and returns its output.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// write writes files, given as pairs of name and content, and adds them.
func (c *clone) write(files ...string) {
	c.t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(c.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			c.t.Fatal(err)
		}
		c.git("add", files[i])
	}
}

// commit commits files and returns the commit.
func (c *clone) commit(message string, files ...string) string {
	c.t.Helper()
	c.write(files...)
	c.git("commit", "-q", "--allow-empty", "-m", message)
	return c.git("rev-parse", "HEAD")
}

// refused pushes, which must fail, and checks that the pusher reads the words.
func (c *clone) refused(push string, words ...string) string {
	c.t.Helper()
	out, err := c.try(append([]string{"push"}, strings.Fields(push)...)...)
	if err == nil {
		c.t.Fatalf("git push %s went through:\n%s", push, out)
	}
	contains(c.t, out, words...)
	return out
}

func contains(t testing.TB, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("missing %q in:\n%s", w, out)
		}
	}
}

// object writes an object that git itself would not make, and returns its name.
func (c *clone) object(kind, content string) string {
	c.t.Helper()
	cmd := c.command("hash-object", "-t", kind, "--literally", "-w", "--stdin")
	cmd.Stdin = strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// entry is one raw entry of a tree object.
func entry(mode, name, hash string) string {
	raw := make([]byte, 20)
	fmt.Sscanf(hash, "%x", &raw)
	return mode + " " + name + "\x00" + string(raw)
}

// pushTree commits a tree object on top of nothing and pushes it.
func (c *clone) pushTree(tree string) (string, error) {
	c.t.Helper()
	commit := c.git("commit-tree", "-m", "hostile", tree)
	return c.try("push", "-f", "paas", commit+":refs/heads/main")
}

func cancelled(app volume.App, n int) bool {
	_, cancelled := app.Cancelled(n)
	return cancelled
}
