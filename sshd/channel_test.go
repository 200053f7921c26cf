package sshd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig"
)

// open opens a session channel by hand and drops its requests.
func open(t *testing.T, client *gossh.Client) gossh.Channel {
	t.Helper()
	ch, reqs, err := client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(reqs)
	return ch
}

func ask(t *testing.T, ch gossh.Channel, name string, payload any) bool {
	t.Helper()
	var raw []byte
	switch p := payload.(type) {
	case nil:
	case []byte:
		raw = p
	default:
		raw = gossh.Marshal(p)
	}
	ok, err := ch.SendRequest(name, true, raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return ok
}

type text struct{ Value string }
type pair struct{ Name, Value string }

var pty = ptyRequest{Term: "xterm", Columns: 80, Rows: 24}

func TestForwardingIsRefused(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip",
		"direct-streamlocal@openssh.com",
		"x11", "auth-agent@openssh.com", "tun@openssh.com", "nonsense"} {
		ch, _, err := client.OpenChannel(kind, gossh.Marshal(struct {
			Host     string
			Port     uint32
			From     string
			FromPort uint32
		}{"127.0.0.1", 22, "127.0.0.1", 1}))
		if err == nil {
			ch.Close()
			t.Errorf("channel %s was opened", kind)
		}
	}
	for _, kind := range []string{"tcpip-forward", "streamlocal-forward@openssh.com",
		"cancel-tcpip-forward"} {
		ok, _, err := client.SendRequest(kind, true, gossh.Marshal(struct {
			Host string
			Port uint32
		}{"127.0.0.1", 0}))
		if ok || err != nil {
			t.Errorf("request %s: %v, %v", kind, ok, err)
		}
	}
	ch := open(t, client)
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "break", "window-change",
		"nonsense"} {
		if ask(t, ch, kind, nil) {
			t.Errorf("session request %s was granted", kind)
		}
	}
}

// Clients with ServerAliveInterval get their replies.
func TestKeepaliveIsAnswered(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Error(err)
	}
}

// A subsystem such as sftp runs nothing and says why.
func TestSubsystemIsRefused(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	for _, name := range []string{"sftp", "shell", ""} {
		ch, reqs, err := client.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		ask(t, ch, "subsystem", text{name})
		if req := <-reqs; req == nil || req.Type != "exit-status" ||
			!bytes.Equal(req.Payload, []byte{0, 0, 0, 1}) {
			t.Errorf("%q: %+v instead of exit status 1", name, req)
		}
		go gossh.DiscardRequests(reqs)
		out, _ := io.ReadAll(ch)
		said, err := io.ReadAll(ch.Stderr())
		if err != nil || len(out) != 0 ||
			string(said) != " !     file transfer and subsystems are not supported: send files "+
				"with git push\n" {
			t.Errorf("%q: said %q, %q, %v", name, out, said, err)
		}
	}
}

// GIT_PROTOCOL with its three values is the only environment variable that is kept. 2,000 variables
// take no memory.
func TestEnvFlood(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	ch := open(t, client)
	for _, e := range []pair{{"GIT_PROTOCOL", "version=2"}, {"GIT_PROTOCOL", "version=2:x"},
		{"GIT_PROTOCOL", "version=3"},
		{"GIT_PROTOCOL", "version=2\n"}, {"LD_PRELOAD", "version=1"}, {"GIT_SSH_COMMAND", "id"}} {
		if ok := ask(t, ch, "env", e); ok != (e == pair{"GIT_PROTOCOL", "version=2"}) {
			t.Errorf("env %q: %v", e, ok)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	value := strings.Repeat("x", 16<<10)
	for i := range 2000 {
		if _, err := ch.SendRequest("env", false,
			gossh.Marshal(pair{fmt.Sprint("V", i), value})); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, ch, "env", pair{"LAST", ""}) // all earlier ones have been read
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the environment takes %d MiB", grown>>20)
	}
	if !ask(t, ch, "exec", text{"git-upload-pack 'blog'"}) {
		t.Fatal("exec refused")
	}
	said, err := io.ReadAll(ch)
	if err != nil || string(said) != "alice git-upload-pack blog version=2\n" {
		t.Errorf("said %q, %v", said, err)
	}
}

// Window changes before and during a command leak nothing.
func TestWindowChangeFlood(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(ctx context.Context, _ Identity, args []string, stdin io.Reader, _,
			_ io.Writer) int {
			_, _ = io.Copy(io.Discard, stdin)
			return 7
		})
	})
	before := runtime.NumGoroutine()
	for range 20 {
		client := w.dial(w.alice)
		ch := open(t, client)
		if !ask(t, ch, "pty-req", pty) {
			t.Fatal("pty refused")
		}
		size := gossh.Marshal(struct{ C, R, W, H uint32 }{100, 40, 0, 0})
		for i := range 100 {
			if i == 50 && !ask(t, ch, "exec", text{"wait"}) {
				t.Fatal("exec refused")
			}
			if _, err := ch.SendRequest("window-change", false, size); err != nil {
				t.Fatal(err)
			}
		}
		if ask(t, ch, "nonsense", nil) { // all earlier requests have been read
			t.Error("granted")
		}
		client.Close()
	}
	goroutinesBack(t, before)
}

// Truncated requests are refused. The library would panic on a pty request with a length that is
// too large.
func TestMalformedRequests(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	ch := open(t, client)
	overrun := binary.BigEndian.AppendUint32(nil, 0xffffffff)
	for _, kind := range []string{"pty-req", "exec", "env", "signal", "window-change"} {
		for _, payload := range [][]byte{overrun, {}, {0, 0, 0}, {0, 0, 0, 9, 'x'}} {
			if ask(t, ch, kind, payload) {
				t.Errorf("%s %x was granted", kind, payload)
			}
		}
	}
	if got := w.run(client, "whoami"); got.status != 0 {
		t.Errorf("after that: %+v", got)
	}
}

func TestOneCommandPerSession(t *testing.T) {
	started := make(chan struct{}, 10)
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(ctx context.Context, _ Identity, _ []string, _ io.Reader, _,
			_ io.Writer) int {
			started <- struct{}{}
			<-ctx.Done()
			return 0
		})
	})
	ch := open(t, w.dial(w.alice))
	for i, kind := range []string{"exec", "exec", "shell", "subsystem", "pty-req", "env"} {
		var payload any = text{"wait"}
		switch kind {
		case "pty-req":
			payload = pty
		case "env":
			payload = pair{"GIT_PROTOCOL", "version=2"}
		}
		if ok := ask(t, ch, kind, payload); ok != (i == 0) {
			t.Errorf("request %d, %s: %v", i, kind, ok)
		}
	}
	<-started
	if len(started) != 0 {
		t.Error("a second command was started")
	}
}

func TestSessionsPerConnection(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.alice)
	var open []*gossh.Session
	for range 10 {
		open = append(open, w.session(client))
	}
	if _, err := client.NewSession(); err == nil ||
		!strings.Contains(err.Error(), "at most 10 sessions") {
		t.Errorf("the eleventh session: %v", err)
	}
	for _, s := range open {
		s.Close()
	}
	rig.Eventually(t, "a place is free again", func() bool {
		s, err := client.NewSession()
		if err == nil {
			s.Close()
		}
		return err == nil
	})
	for range 100 {
		if got := w.run(client, "whoami"); got.status != 0 {
			t.Fatalf("sessions one by one: %+v", got)
		}
	}
}

// On a terminal lines end in \r\n, Ctrl-C ends the command even if it reads nothing, and Ctrl-D
// ends its input.
func TestTerminal(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(ctx context.Context, _ Identity, args []string, stdin io.Reader,
			stdout, stderr io.Writer) int {
			fmt.Fprint(stdout, "out\n")
			fmt.Fprint(stderr, "err\n")
			if args[0] == "cat" {
				_, _ = io.Copy(stdout, stdin)
				return 0
			}
			<-ctx.Done()
			return 130
		})
	})
	before := runtime.NumGoroutine()
	client := w.dial(w.alice)
	for command, tt := range map[string]struct {
		keys, want string
		status     int
	}{
		"cat":    {"a\rb\x04", "out\r\nerr\r\na\r\nb", 0},
		"follow": {"ignored\r\x03", "out\r\nerr\r\n", 130},
	} {
		session := w.session(client)
		if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		session.Stdout = &out
		keys, err := session.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start(command); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(keys, tt.keys); err != nil {
			t.Fatal(err)
		}
		if got := statusOf(session.Wait()); got != tt.status || out.String() != tt.want {
			t.Errorf("%s: %q, status %d; want %q, %d", command, out.String(), got, tt.want,
				tt.status)
		}
	}
	client.Close()
	goroutinesBack(t, before)
}

// A terminating signal ends the session's context; others do nothing.
func TestSignals(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(ctx context.Context, _ Identity, _ []string, _ io.Reader, stdout,
			_ io.Writer) int {
			fmt.Fprintln(stdout, "ready")
			<-ctx.Done()
			return 143
		})
	})
	session := w.session(w.dial(w.alice))
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("follow"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	if ok, err := session.SendRequest("signal", true, gossh.Marshal(text{"USR1"})); ok ||
		err != nil {
		t.Errorf("USR1: %v, %v", ok, err)
	}
	if err := session.Signal(gossh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := statusOf(session.Wait()); got != 143 {
		t.Errorf("status %d", got)
	}
}

// A raw command gets keys and writes the screen byte for byte, and is told the terminal's type and
// size. Ctrl-C is an ordinary key.
func TestRawTerminal(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = rawVerb(func(ctx context.Context, c Console) int {
			fmt.Fprintf(c.Screen, "%s %v\n", c.Terminal.Type, c.Terminal.Size)
			key := make([]byte, 3)
			_, _ = io.ReadFull(c.Stdin, key)
			fmt.Fprintf(c.Screen, "%q %v\n", key, ctx.Err())
			fmt.Fprintf(c.Screen, "%v\n", <-c.Terminal.Resized)
			fmt.Fprint(c.Stderr, "a message\n")
			return 5
		})
	})
	before := runtime.NumGoroutine()
	client := w.dial(w.alice)
	session := w.session(client)
	if err := session.RequestPty("xterm-256color", 30, 100, nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	session.Stdout = &out
	keys, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// the latest is delivered, and none is lost before it is asked for
	for _, columns := range []int{90, 91, 132} {
		if err := session.WindowChange(43, columns); err != nil {
			t.Fatal(err)
		}
	}
	if err := session.Start("raw"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(keys, "\x03\r\x04"); err != nil {
		t.Fatal(err)
	}
	want := "xterm-256color {100 30}\n\"\\x03\\r\\x04\" <nil>\n{132 43}\na message\r\n"
	if got := statusOf(session.Wait()); got != 5 || out.String() != want {
		t.Errorf("%q, status %d; want %q", out.String(), got, want)
	}
	client.Close()
	goroutinesBack(t, before)
}

// Impossible values for a terminal are ignored.
func TestInvalidTerminal(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = rawVerb(func(_ context.Context, c Console) int {
			fmt.Fprintf(c.Screen, "%s %v\n", c.Terminal.Type, c.Terminal.Size)
			return 0
		})
	})
	ch := open(t, w.dial(w.alice))
	if !ask(t, ch, "pty-req", ptyRequest{Term: "../../x\n", Columns: 1 << 31, Rows: 24}) {
		t.Fatal("pty-req was refused")
	}
	if !ask(t, ch, "exec", text{"raw"}) {
		t.Fatal("exec was refused")
	}
	if said, _ := io.ReadAll(ch); string(said) != "dumb {0 0}\n" {
		t.Errorf("%q", said)
	}
}

// A raw command is told of signals and continues; unknown signals are refused.
func TestRawSignals(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = rawVerb(func(ctx context.Context, c Console) int {
			if c.Terminal != nil || c.Screen != nil {
				return 1
			}
			fmt.Fprintln(c.Stdout, "ready")
			for i, want := range []string{"user defined signal 1", "interrupt", "terminated"} {
				select {
				case sig := <-c.Signals:
					if sig.String() != want {
						return 10 + i
					}
				case <-ctx.Done():
					return 2
				}
			}
			return 7
		})
	})
	session := w.session(w.dial(w.alice))
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("raw"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"USR1", "WINCH", "INT", "TERM"} {
		if ok, err := session.SendRequest("signal", true,
			gossh.Marshal(text{name})); ok != (name != "WINCH") || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if got := statusOf(session.Wait()); got != 7 {
		t.Errorf("status %d", got)
	}
}

// A connection whose client sends nothing is closed, however much is written to it. A client that
// replies is kept, however long the command is silent.
func TestIdle(t *testing.T) {
	ended := make(chan string, 10)
	w := serve(t, func(s *Server) {
		s.IdleTimeout = 200 * time.Millisecond
		s.Git = gitFunc(func(ctx context.Context, _ Identity, _, app, _ string, _ io.Reader, stdout,
			_ io.Writer) int {
			defer func() { ended <- app }()
			switch app {
			case "silent":
				select {
				case <-ctx.Done():
					return 1
				case <-time.After(5 * s.IdleTimeout):
					return 0
				}
			default: // like git's side-band keepalive
				for ctx.Err() == nil {
					fmt.Fprint(stdout, "0005\x02")
					time.Sleep(s.IdleTimeout / 20)
				}
				return 1
			}
		})
	})
	lively := w.dial(w.alice)
	if got := w.run(lively, "git-receive-pack 'silent'"); got.status != 0 {
		t.Errorf("a silent build was disconnected: %+v", got)
	}
	<-ended
	// Nothing is asked of it now, so it is disconnected.
	gone := make(chan error, 1)
	go func() { gone <- lively.Wait() }()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("an idle connection was not closed")
	}

	raw, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	mute := &muteConn{Conn: raw}
	conn, chans, reqs, err := gossh.NewClientConn(mute, "", config(gossh.PublicKeys(w.bob)))
	if err != nil {
		t.Fatal(err)
	}
	dead := gossh.NewClient(conn, chans, reqs)
	defer dead.Close()
	if !ask(t, open(t, dead), "exec", text{"git-receive-pack 'noisy'"}) {
		t.Fatal("exec refused")
	}
	mute.on.Store(true)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("a dead client kept its session")
	}
}

// muteConn is a client that receives but no longer sends.
type muteConn struct {
	net.Conn
	on atomic.Bool
}

func (c *muteConn) Write(p []byte) (int, error) {
	if c.on.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}
