package remote

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestSSHKeepsItsConnection(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	rig := startSSHServer(t, root, false)
	c := newClient(t)
	head := func() {
		t.Helper()
		if _, err := c.Head(t.Context(), rig.remote("repo.git"), Ref{Branch: "main"}); err != nil {
			t.Error(err)
		}
	}
	head()
	var all sync.WaitGroup
	for range 3 * maxSessions {
		all.Go(head)
	}
	all.Wait()
	if most := rig.most.Load(); most > 10 { // OpenSSH's limit
		t.Errorf("%d sessions at once", most)
	}
	if n := len(rig.accepted); n != 1 {
		t.Fatalf("%d connections", n)
	}
	if _, err := c.Head(t.Context(), rig.remote("none.git"), Ref{Branch: "main"}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if n := len(rig.accepted); n != 1 {
		t.Errorf("%d connections: a repository that is missing is not a reason for another", n)
	}
	(<-rig.accepted).Close() // as if the server or the network had gone down for a while
	head()
	head()
	if n := len(rig.accepted); n != 1 {
		t.Errorf("%d connections after the first was cut", n)
	}
	other := rig.remote("repo.git")
	other.KnownHosts = append([]byte("# trusts again\n"), other.KnownHosts...)
	if _, err := c.Head(t.Context(), other, Ref{Branch: "main"}); err != nil {
		t.Error(err)
	}
	if n := len(rig.accepted); n != 2 {
		t.Errorf("%d connections: other known hosts, other connection", n)
	}
}

func TestSSHClosesIdleConnections(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	rig := startSSHServer(t, root, false)
	c := &Client{IdleTimeout: 50 * time.Millisecond}
	defer c.Close()
	for range 2 {
		if _, err := c.Head(t.Context(), rig.remote("repo.git"), Ref{Branch: "main"}); err != nil {
			t.Fatal(err)
		}
		c.init()
		// else the test times out
		for open := 1; open > 0; time.Sleep(time.Millisecond) {
			c.sshPool.mu.Lock()
			open = len(c.sshPool.conns)
			c.sshPool.mu.Unlock()
		}
	}
	if n := len(rig.accepted); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestSSHRefused(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	rig := startSSHServer(t, root, false)
	stranger, _, err := NewKey("")
	if err != nil {
		t.Fatal(err)
	}
	imposter := hostLine(rig.addr, newSigner(t).PublicKey())
	fields := bytes.Fields(imposter)
	forged, _, _, _, err := ssh.ParseAuthorizedKey(bytes.Join(fields[1:], []byte(" ")))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, err := HostKey(t.Context(), rig.remote("x").URL)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	for name, test := range map[string]struct {
		change func(*Remote)
		err    error
		words  []string
	}{
		"other key": {func(r *Remote) { r.Key = stranger }, ErrAuth,
			[]string{"does not accept the key"}},
		"no key": {func(r *Remote) { r.Key = nil }, ErrAuth, []string{"requires a key"}},
		"not a key": {func(r *Remote) { r.Key = []byte("secret") }, ErrAuth,
			[]string{"not a private key"}},
		"unknown host": {func(r *Remote) { r.KnownHosts = nil }, ErrHostKey,
			[]string{"is not known", shown}},
		"other host's": {func(r *Remote) { r.KnownHosts = hostLine("127.0.0.1:1", forged) },
			ErrHostKey, []string{"is not known", shown}},
		"changed key": {func(r *Remote) { r.KnownHosts = imposter }, ErrHostKey,
			[]string{"has changed", shown, ssh.FingerprintSHA256(forged)}},
		"revoked": {func(r *Remote) {
			r.KnownHosts = append([]byte("@revoked "),
				r.KnownHosts...)
		}, ErrHostKey, []string{"revoked", shown}},
		"garbage": {func(r *Remote) { r.KnownHosts = []byte("x") }, ErrHostKey,
			[]string{"ssh-keyscan"}},
	} {
		r := rig.remote("repo.git")
		test.change(&r)
		_, err := c.Head(t.Context(), r, Ref{Branch: "main"})
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, words := range test.words {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v; want %q", name, err, words)
			}
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q", name, err)
		}
	}
}

// A server with keys of several types is asked for the known one.
func TestSSHRequestsKnownKeyType(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	rig := startSSHServer(t, root, false)
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rig.AddHostKey(second)
	c := newClient(t)
	for _, known := range [][]byte{rig.hosts, hostLine(rig.addr, second.PublicKey())} {
		r := rig.remote("repo.git")
		r.KnownHosts = known
		if _, err := c.Head(t.Context(), r, Ref{Branch: "main"}); err != nil {
			t.Error(err)
		}
	}
}

// HostKey returns a line that KnownHosts accepts.
func TestHostKey(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	rig := startSSHServer(t, root, false)
	r := rig.remote("repo.git")
	line, fingerprint, err := HostKey(t.Context(), r.URL)
	if err != nil || strings.TrimSpace(string(rig.hosts)) != line ||
		!strings.HasPrefix(fingerprint, "SHA256:") {
		t.Fatal(line, fingerprint, err)
	}
	r.KnownHosts = []byte(line)
	if _, err := newClient(t).Head(t.Context(), r, Ref{Branch: "main"}); err != nil {
		t.Error(err)
	}
	if _, _, err := HostKey(t.Context(), "https://host/repo"); !errors.Is(err, ErrURL) {
		t.Error(err)
	}
	dead := listen(t, func(conn net.Conn) {})
	if _, _, err := HostKey(t.Context(), "ssh://git@"+dead+"/x"); err == nil {
		t.Error("got a key from a server that hung up")
	}
}

func TestKeys(t *testing.T) {
	private, authorized, err := NewKey("paas blog\non my.server")
	if err != nil || !strings.HasPrefix(authorized, "ssh-ed25519 AAAA") ||
		!strings.HasSuffix(authorized, " paas blog on my.server") {
		t.Fatal(authorized, err)
	}
	public, err := PublicKey(private)
	if err != nil || !strings.HasPrefix(authorized, public+" ") {
		t.Error(public, err)
	}
	for name, args := range map[string][]string{"locked": {"-t", "ed25519", "-N", "passphrase"},
		"rsa": {"-t", "rsa", "-b", "2048", "-N", ""}} {
		file := filepath.Join(t.TempDir(), "key")
		if out, err := exec.Command("ssh-keygen",
			append(args, "-q", "-f", file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		content := readTestFile(t, file)
		public, err := PublicKey(content)
		if name == "locked" {
			if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "passphrase") {
				t.Error(err)
			}
		} else if err != nil || !strings.HasPrefix(string(readTestFile(t, file+".pub")), public) {
			t.Error(public, err)
		}
	}
}
