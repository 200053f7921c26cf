package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"paas/volume"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/rig/sshkey"

	gossh "golang.org/x/crypto/ssh"
)

const patience = time.Minute // much longer than anything here takes

// gitFunc and verbFunc are fakes.
type gitFunc func(ctx context.Context, who Identity, service, app, protocol string, stdin io.Reader,
	stdout, stderr io.Writer) int

func (f gitFunc) Serve(ctx context.Context, who Identity, service, app, protocol string,
	stdin io.Reader, stdout, stderr io.Writer) int {
	return f(ctx, who, service, app, protocol, stdin, stdout, stderr)
}

type verbFunc func(ctx context.Context, who Identity, args []string, stdin io.Reader, stdout,
	stderr io.Writer) int

func (f verbFunc) Run(ctx context.Context, who Identity, args []string, c Console) int {
	return f(ctx, who, args, c.Stdin, c.Stdout, c.Stderr)
}

func (f verbFunc) Raw([]string) bool { return false }

// rawVerb is a command that handles its console itself.
type rawVerb func(ctx context.Context, c Console) int

func (f rawVerb) Run(ctx context.Context, _ Identity, _ []string, c Console) int {
	return f(ctx, c)
}
func (f rawVerb) Raw(args []string) bool {
	return args[0] == "raw"
}

// sayGit and sayVerb print what they were asked for.
func sayGit(_ context.Context, who Identity, service, app, protocol string, _ io.Reader, stdout,
	_ io.Writer) int {
	fmt.Fprintf(stdout, "%s %s %s %s\n", who.Name, service, app, protocol)
	return 0
}

func sayVerb(_ context.Context, who Identity, args []string, _ io.Reader, stdout, _ io.Writer) int {
	fmt.Fprintf(stdout, "%s %v %q\n", who.Name, who.Admin, args)
	return 0
}

// world is a running server with two keys: alice, an admin, and bob.
type world struct {
	*Server
	t          *testing.T
	keys       *keyring
	alice, bob gossh.Signer
	log        *logBuffer
	stop       context.CancelFunc
	done       chan error // Run's error
}

// keyring is the set of known keys; the first is an admin's.
type keyring struct {
	mu  sync.Mutex
	all map[string]Identity // by wire format of the key
}

func (k *keyring) Lookup(key gossh.PublicKey, from net.Addr) (Identity, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	who, ok := k.all[string(key.Marshal())]
	if !ok {
		return who, ErrUnknownKey
	}
	return who, nil
}

func (k *keyring) add(name string, key gossh.PublicKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string]Identity{}
	}
	who := Identity{Name: name, Admin: len(k.all) == 0, Fingerprint: gossh.FingerprintSHA256(key)}
	k.all[string(key.Marshal())] = who
}

func (k *keyring) remove(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.all, func(_ string, who Identity) bool { return who.Name == name })
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server on a free port until the end of the test. set may change it first.
func serve(t *testing.T, set func(*Server)) *world {
	t.Helper()
	w := &world{t: t, keys: &keyring{}, alice: sshkey.New(t), bob: sshkey.New(t), log: &logBuffer{},
		done: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.Server = &Server{
		Addr: "127.0.0.1:0", HostKey: sshkey.New(t), Keys: w.keys, Git: gitFunc(sayGit),
		Verbs:   verbFunc(sayVerb),
		AppName: volume.CheckName,
		Log:     log, DrainTimeout: 100 * time.Millisecond,
		AddKeyHint: func(_, line string) string {
			return "echo '" + line +
				"' | paas keys:add NAME"
		},
	}
	if set != nil {
		set(w.Server)
	}
	w.keys.add("alice", w.alice.PublicKey())
	w.keys.add("bob", w.bob.PublicKey())
	if err := w.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() { w.done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-w.done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	return w
}

// stopped stops the server, once, and returns Run's error.
func (w *world) stopped() error {
	w.stop()
	err := <-w.done
	w.done <- nil
	return err
}

func (w *world) addr() string { return w.Address().String() }

func config(methods ...gossh.AuthMethod) *gossh.ClientConfig {
	return &gossh.ClientConfig{
		User: "paas", Auth: methods, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	}
}

func (w *world) dial(signers ...gossh.Signer) *gossh.Client {
	w.t.Helper()
	client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(signers...)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

func (w *world) session(client *gossh.Client) *gossh.Session {
	w.t.Helper()
	session, err := client.NewSession()
	if err != nil {
		w.t.Fatal(err)
	}
	return session
}

// result is the result of a command; status is -1 if none was sent.
type result struct {
	stdout, stderr string
	status         int
}

func statusOf(err error) int {
	var exit *gossh.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitStatus()
	}
	return -1
}

// run runs a command in a new session of client.
func (w *world) run(client *gossh.Client, command string) result {
	w.t.Helper()
	session := w.session(client)
	defer session.Close()
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	err := session.Run(command)
	return result{stdout.String(), stderr.String(), statusOf(err)}
}

// goroutinesBack waits until there are no more goroutines than before.
func goroutinesBack(t testing.TB, before int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
	}
	buf := make([]byte, 1<<20)
	t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before,
		buf[:runtime.Stack(buf, true)])
}

// closed waits until the other end has closed conn.
func closed(t testing.TB, conn net.Conn, within time.Duration) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server did not close the connection within %v", within)
	}
}

// openssh runs the real ssh client against w with the given identity files and an empty stdin.
func (w *world) openssh(identities []string, args ...string) result {
	w.t.Helper()
	return w.command("ssh",
		append(w.sshOptions(identities), append([]string{"-p", w.port(), "paas@127.0.0.1"},
			args...)...)...)
}

func (w *world) port() string {
	_, port, err := net.SplitHostPort(w.addr())
	if err != nil {
		w.t.Fatal(err)
	}
	return port
}

func (w *world) sshOptions(identities []string) []string {
	options := []string{"-F", "none", "-o", "StrictHostKeyChecking=no", "-o",
		"UserKnownHostsFile=/dev/null",
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o",
		"IdentityAgent=none", "-o", "BatchMode=yes"}
	for _, file := range identities {
		options = append(options, "-i", file)
	}
	return options
}

func (w *world) command(name string, args ...string) result {
	w.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		w.t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"SSH_AUTH_SOCK=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		w.t.Fatalf("%s %q hangs\n%s%s", name, args, &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return result{stdout.String(), withoutWarning(stderr.String()), cmd.ProcessState.ExitCode()}
}

// withoutWarning removes ssh's warning about a new host key.
func withoutWarning(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "Warning: Permanently added") {
			kept = append(kept, strings.ReplaceAll(line, "\r", ""))
		}
	}
	return strings.Join(kept, "")
}

// identityFile writes a new private key and returns its path and public key.
func identityFile(t *testing.T) (string, gossh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, sshkey.PrivateText(t, private), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, sshkey.Signer(t, private).PublicKey()
}

// runGit runs a git service on a repository, and returns 0 if it succeeded.
func runGit(ctx context.Context, service, repo, protocol string,
	stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := exec.CommandContext(ctx, "git", strings.TrimPrefix(service, "git-"), repo)
	cmd.Env = append(os.Environ(), "GIT_PROTOCOL="+protocol)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return 1
	}
	go func() { // not waited for: the client may keep its side open
		_, _ = io.Copy(in, stdin)
		in.Close()
	}()
	if err := cmd.Wait(); err != nil {
		return 1
	}
	return 0
}
