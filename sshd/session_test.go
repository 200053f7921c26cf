package sshd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig"
	"paas/rig/sshkey"
	"paas/terminal"
)

func TestExitStatus(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(_ context.Context, _ Identity, args []string, _ io.Reader, _,
			_ io.Writer) int {
			var code int
			fmt.Sscan(args[0], &code)
			return code
		})
	})
	client := w.dial(w.alice)
	for code, want := range map[string]int{"0": 0, "1": 1, "143": 143, "255": 255, "256": 255,
		"-1": 255} {
		if got := w.run(client, code); got.status != want {
			t.Errorf("exit %s: status %d, want %d", code, got.status, want)
		}
	}
}

// A session that panics ends with 255 and affects no other.
func TestPanic(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(_ context.Context, _ Identity, args []string, _ io.Reader, stdout,
			_ io.Writer) int {
			if args[0] == "panic" {
				panic("secret words")
			}
			return 0
		})
		s.AppName = func(string) error { panic("secret words") }
	})
	client := w.dial(w.alice)
	for _, command := range []string{"panic", "git-receive-pack 'blog'"} {
		got := w.run(client, command)
		if got.status != 255 ||
			got.stderr != " !     internal error; the server's log has the details\n" {
			t.Errorf("%s: %+v", command, got)
		}
	}
	if got := w.run(client, "whoami"); got.status != 0 {
		t.Errorf("the same connection afterwards: %+v", got)
	}
	if !strings.Contains(w.log.String(), "secret words") {
		t.Error("the panic is not in the log")
	}
}

// A panic while a key is looked up ends only that connection.
func TestPanicDuringLookup(t *testing.T) {
	w := serve(t, func(s *Server) { s.AddKeyHint = func(string, string) string { panic("hint") } })
	if _, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(sshkey.New(t)))); err == nil {
		t.Fatal("authenticated")
	}
	if got := w.run(w.dial(w.alice), "whoami"); got.status != 0 {
		t.Errorf("afterwards: %+v", got)
	}
}

// A command that exits without reading its input ends the session, even if the client has more to
// send and does not close.
func TestCommandEndsBeforeItsInput(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Git = gitFunc(func(_ context.Context, _ Identity, _, _, _ string, stdin io.Reader, _,
			_ io.Writer) int {
			go func() { _, _ = io.Copy(io.Discard, stdin) }() // as StdinPipe with a goroutine does
			return 3
		})
	})
	before := runtime.NumGoroutine()
	client := w.dial(w.alice)
	session := w.session(client)
	if _, err := session.StdinPipe(); err != nil { // never closed
		t.Fatal(err)
	}
	if err := session.Start("git-receive-pack 'blog'"); err != nil {
		t.Fatal(err)
	}
	if got := statusOf(session.Wait()); got != 3 {
		t.Errorf("status %d", got)
	}
	client.Close()
	goroutinesBack(t, before)
}

// ctx ends when the client closes the connection, or its channel of a shared one.
func TestClientGone(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	w := serve(t, func(s *Server) {
		s.Git = gitFunc(func(ctx context.Context, _ Identity, _, _, _ string, _ io.Reader, _,
			_ io.Writer) int {
			started <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return 1
		})
	})
	for name, leave := range map[string]func(*gossh.Client, *gossh.Session){
		"connection": func(c *gossh.Client, _ *gossh.Session) { c.Close() },
		"channel":    func(_ *gossh.Client, s *gossh.Session) { s.Close() },
	} {
		client := w.dial(w.alice)
		session := w.session(client)
		if err := session.Start("git-receive-pack 'blog'"); err != nil {
			t.Fatal(err)
		}
		<-started
		leave(client, session)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("the %s closed, but ctx did not end", name)
		}
	}
}

func TestGreeting(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(_ context.Context, _ Identity, args []string, _ io.Reader, stdout,
			_ io.Writer) int {
			fmt.Fprintf(stdout, "%q\n", args)
			return 2
		})
	})
	session := w.session(w.dial(w.alice))
	var out bytes.Buffer
	session.Stdout = &out
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	if got := statusOf(session.Wait()); got != 0 ||
		!strings.HasPrefix(out.String(), "Hi alice! ") ||
		!strings.HasSuffix(out.String(), "\n[\"help\"]\n") {
		t.Errorf("%q, status %d", out.String(), got)
	}
}

func TestCommandTooLong(t *testing.T) {
	w := serve(t, nil)
	got := w.run(w.dial(w.alice), strings.Repeat("x", maxCommand+1))
	if got.status != 1 || got.stdout != "" ||
		!strings.HasPrefix(got.stderr, " !     the command is too long") {
		t.Errorf("%+v", got)
	}
}

// AppName's error cannot control a terminal either, and a command's arguments are not logged.
func TestOutputIsSanitized(t *testing.T) {
	w := serve(t,
		func(s *Server) {
			s.AppName = func(name string) error {
				return fmt.Errorf("no app %s",
					name)
			}
		})
	client := w.dial(w.alice)
	if got := w.run(client,
		"git-receive-pack '\x1b[2J\nx'"); got.stderr != " !     no app ?[2J?x\n" {
		t.Errorf("%+v", got)
	}
	w.run(client, "config:set blog TOKEN=hunter2")
	rig.Eventually(t, "the command is logged",
		func() bool { return strings.Contains(w.log.String(), "verb=config:set") })
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("an argument was logged")
	}
}

// A stop lets a push finish, refuses new sessions and cancels commands at once.
func TestStopDrains(t *testing.T) {
	started, finish := make(chan string, 2), make(chan struct{})
	w := serve(t, func(s *Server) {
		s.DrainTimeout = patience
		s.Git = gitFunc(func(ctx context.Context, _ Identity, _, _, _ string, _ io.Reader, stdout,
			_ io.Writer) int {
			started <- "push"
			select {
			case <-finish:
				fmt.Fprintln(stdout, "live")
				return 0
			case <-ctx.Done():
				return 1
			}
		})
		s.Verbs = verbFunc(func(ctx context.Context, _ Identity, _ []string, _ io.Reader, _,
			_ io.Writer) int {
			started <- "logs"
			<-ctx.Done()
			return 130
		})
	})
	client := w.dial(w.alice)
	push, logs := make(chan result, 1), make(chan result, 1)
	go func() { push <- w.run(client, "git-receive-pack 'blog'") }()
	go func() { logs <- w.run(client, "logs --follow") }()
	<-started
	<-started
	w.stop()
	if got := <-logs; got.status != 130 {
		t.Errorf("logs: %+v", got)
	}
	if got := w.run(client, "git-receive-pack 'blog'"); got.status != 1 ||
		!strings.Contains(got.stderr, "the server is stopping") {
		t.Errorf("a push during the stop: %+v", got)
	}
	rig.Eventually(t, "the port is free", func() bool {
		conn, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(w.alice)))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	if got := <-push; got.status != 0 || got.stdout != "live\n" {
		t.Errorf("the push in flight: %+v", got)
	}
	if err := w.stopped(); err != nil {
		t.Error(err)
	}
}

// A push that takes too long is cancelled, and the client still gets an exit status.
func TestStopCancelsAfterDrain(t *testing.T) {
	before := runtime.NumGoroutine()
	started := make(chan struct{})
	w := serve(t, func(s *Server) {
		s.DrainTimeout = 20 * time.Millisecond
		s.Git = gitFunc(func(ctx context.Context, _ Identity, _, _, _ string, _ io.Reader, _,
			stderr io.Writer) int {
			close(started)
			<-ctx.Done()
			fmt.Fprintln(stderr, "cancelled")
			return 9
		})
	})
	client := w.dial(w.alice)
	stranger := w.dialRaw()
	push := make(chan result, 1)
	go func() { push <- w.run(client, "git-receive-pack 'blog'") }()
	<-started
	began := time.Now()
	if err := w.stopped(); err != nil || time.Since(began) > 7*time.Second {
		t.Errorf("Run: %v, in %v", err, time.Since(began))
	}
	if got := <-push; got.status != 9 || got.stderr != "cancelled\n" {
		t.Errorf("%+v", got)
	}
	closed(t, stranger, patience)
	stranger.Close()
	client.Close()
	goroutinesBack(t, before)
}

func TestOpenSSH(t *testing.T) {
	w := serve(t, nil)
	file, public := identityFile(t)
	w.keys.add("carol", public)
	me := []string{file}
	const files = " !     file transfer and subsystems are not supported: send files with git " +
		"push\n"
	for name, tt := range map[string]struct{ got, want result }{
		"verb": {w.openssh(me, "apps:list", "--format", "json"),
			result{"carol false [\"apps:list\" \"--format\" \"json\"]\n", "", 0}},
		"shell": {w.openssh(me, "-T"),
			result{"Hi carol! Your key works. There is no shell here, but you can use git push " +
				"and these commands:\n\n" +
				"carol false [\"help\"]\n", "", 0}},
		"terminal": {w.openssh(me, "-tt", "whoami"),
			result{"carol false [\"whoami\"]\r\n", "Connection to 127.0.0.1 closed.\n", 0}},
		"agent": {w.openssh(me, "-A", "-X", "whoami"),
			result{"carol false [\"whoami\"]\n", "", 0}},
		"alive": {w.openssh(me, "-o", "ServerAliveInterval=1", "whoami"),
			result{"carol false [\"whoami\"]\n", "", 0}},
		"forward": {w.openssh(me, "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1",
			"whoami"), result{"", "Error: remote port forwarding failed for listen port 0\n", 255}},
		"git": {w.openssh(me, "git-receive-pack '/../x'"),
			result{"", " !     \"../x\" is not an app name: use a-z, 0-9 and -, " +
				"start with a letter, at most 63 characters\n", 1}},
		"sftp": {w.openssh(me, "-s", "sftp"), result{"", files, 1}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, tt.got, tt.want)
		}
	}
	scp := append([]string{"-P", w.port()}, w.sshOptions(me)...)
	for _, flag := range []string{"-s", "-O"} { // over sftp, and the old protocol
		got := w.command("scp", append(append([]string{flag}, scp...), file, "paas@127.0.0.1:x")...)
		if got.status == 0 || !strings.Contains(got.stderr, "not supported: send files with git "+
			"push") {
			t.Errorf("scp %s: %+v", flag, got)
		}
	}
}

// A real git pushes and fetches with protocol version 2 through a real ssh.
func TestGitPushAndFetch(t *testing.T) {
	repo := filepath.Join(t.TempDir(), "repo.git")
	protocols := make(chan string, 10)
	w := serve(t, func(s *Server) {
		s.Git = gitFunc(func(ctx context.Context, _ Identity, service, _, protocol string,
			stdin io.Reader, stdout, stderr io.Writer) int {
			protocols <- protocol
			return runGit(ctx, service, repo, protocol, stdin, stdout, stderr)
		})
	})
	file, public := identityFile(t)
	w.keys.add("carol", public)
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "big"),
		bytes.Repeat([]byte("0123456789abcdef"), 1<<18), 0o644); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) {
		t.Helper()
		got := w.command("git",
			append([]string{"-C", tree, "-c", "user.name=a", "-c", "user.email=a@b", "-c",
				"protocol.version=2",
				"-c", "core.sshCommand=ssh " + strings.Join(w.sshOptions([]string{file}), " ")},
				args...)...)
		if got.status != 0 {
			t.Fatalf("git %q: %+v", args, got)
		}
	}
	url := "ssh://paas@" + w.addr() + "/blog"
	git("init", "-q", "--bare", repo)
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-qm", "one")
	git("push", url, "main")
	git("clone", "-q", url, filepath.Join(t.TempDir(), "copy"))
	if push, clone := <-protocols, <-protocols; clone != "version=2" {
		t.Errorf("GIT_PROTOCOL: push %q, clone %q", push, clone)
	}
}

// If a client stops reading output, such as OpenSSH before head, writes fail and the command is
// told. The client still gets stderr.
func TestOutputClosed(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.Verbs = rawVerb(func(ctx context.Context, c Console) int {
			fmt.Fprintln(c.Stdout, "ready")
			select {
			case <-c.OutputClosed:
			case <-ctx.Done():
				return 1
			}
			if _, err := fmt.Fprintln(c.Stdout, "more"); err != terminal.ErrOutputClosed {
				return 2
			}
			fmt.Fprintln(c.Stderr, "bye")
			return 7
		})
	})
	session := w.session(w.dial(w.alice))
	var said bytes.Buffer
	session.Stderr = &said
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
	for range 2 { // a second time has no effect
		if _, err := session.SendRequest("eow@openssh.com", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := statusOf(session.Wait()); got != 7 || said.String() != "bye\n" {
		t.Errorf("status %d, %q", got, &said)
	}
}

// Ten clients share a connection (ControlMaster), as with OpenSSH's server.
func TestControlMaster(t *testing.T) {
	var started sync.WaitGroup
	started.Add(10)
	w := serve(t, func(s *Server) {
		s.Verbs = verbFunc(func(context.Context, Identity, []string, io.Reader, io.Writer,
			io.Writer) int {
			started.Done()
			started.Wait()
			return 0
		})
	})
	file, public := identityFile(t)
	w.keys.add("carol", public)
	dir, err := os.MkdirTemp("", "ssh") // the test's own folder has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shared := []string{"-S", filepath.Join(dir, "master")}
	if got := w.openssh([]string{file},
		append(shared, "-M", "-N", "-f", "-E", os.DevNull)...); got.status != 0 {
		t.Fatalf("the master: %+v", got)
	}
	defer w.openssh([]string{file}, append(shared, "-O", "exit")...)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got := w.openssh([]string{file}, append(shared, "wait")...); got.status != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	if inside, _ := w.conns.users.Count(); inside != 1 {
		t.Errorf("%d connections", inside)
	}
}

// Somebody used to a shell may put a variable, which may be a secret, in front of a command.
func TestLogHasNoVariable(t *testing.T) {
	w := serve(t, nil)
	w.run(w.dial(w.alice), "KEY=hidden apps")
	if strings.Contains(w.log.String(), "hidden") {
		t.Error(w.log)
	}
}
