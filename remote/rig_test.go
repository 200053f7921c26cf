package remote

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gliderssh "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"
)

// environment is git's environment, without anybody's settings.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=A",
		"GIT_COMMITTER_EMAIL=a@b.c"}, more...)
}

// repository is a bare repository on a server.
type repository struct {
	t   testing.TB
	dir string
}

// newRepository creates root/name.
func newRepository(t testing.TB, root, name string) repository {
	t.Helper()
	r := repository{t, filepath.Join(root, name)}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("", "init", "-q", "--bare", "-b", "main", ".")
	return r
}

func (r repository) git(input string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %v: %v %s", args, err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// commit adds a commit with exactly these files to branch.
func (r repository) commit(branch string, files map[string]string) string {
	r.t.Helper()
	if parent := r.git("", "for-each-ref", "--format=%(objectname)", "refs/heads/"+
		branch); parent != "" {
		return r.put(branch, files, parent)
	}
	return r.put(branch, files)
}

// put makes branch point at a new commit with exactly these files and parents.
func (r repository) put(branch string, files map[string]string, parents ...string) string {
	r.t.Helper()
	var in strings.Builder // git-fast-import(1)
	fmt.Fprintf(&in, "feature done\nreset refs/heads/new\ncommit refs/heads/new\ncommitter A "+
		"<a@b.c> 1700000000 +0000\ndata 7\nmessage\n")
	for _, parent := range parents {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	fmt.Fprintf(&in, "deleteall\n")
	for name, content := range files {
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
	}
	r.git(in.String()+"done\n", "fast-import", "--quiet", "--force")
	commit := r.git("", "rev-parse", "refs/heads/new")
	r.git("update refs/heads/"+branch+" "+commit+"\ndelete refs/heads/new\n", "update-ref",
		"--stdin")
	return commit
}

// remove deletes the repository.
func (r repository) remove() {
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Fatal(err)
	}
}

// startWebServer serves the repositories under root over smart HTTP. It requires token unless that
// is empty. With old, it speaks only version 0.
func startWebServer(t testing.TB, root, token string, old bool,
	wrap ...func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  append(environment(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
		// closed connections are part of the test
		Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
	}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); token != "" && given != token {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if old {
			r.Header.Del("Git-Protocol")
		}
		h := *backend
		if protocol := r.Header.Get("Git-Protocol"); protocol != "" {
			h.Env = append(h.Env[:len(h.Env):len(h.Env)], "GIT_PROTOCOL="+protocol)
		}
		h.ServeHTTP(w, r)
	})
	for _, w := range wrap {
		handler = w(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// sshTestServer is an SSH server that runs git.
type sshTestServer struct {
	*gliderssh.Server
	addr     string
	hosts    []byte // known_hosts
	key      []byte // the accepted key
	accepted chan net.Conn
	sessions atomic.Int32 // open now
	most     atomic.Int32 // most at the same time
}

// startSSHServer serves the repositories under root. With old, it ignores the environment and so
// speaks version 0.
func startSSHServer(t testing.TB, root string, old bool) *sshTestServer {
	t.Helper()
	private, authorized, err := NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	allowed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorized))
	if err != nil {
		t.Fatal(err)
	}
	rig := &sshTestServer{key: private, accepted: make(chan net.Conn, 1000)}
	rig.Server = &gliderssh.Server{
		PublicKeyHandler: func(_ gliderssh.Context, key gliderssh.PublicKey) bool {
			return gliderssh.KeysEqual(key, allowed)
		},
		ConnCallback: func(_ gliderssh.Context, conn net.Conn) net.Conn {
			rig.accepted <- conn
			return conn
		},
		Handler: func(s gliderssh.Session) {
			now := rig.sessions.Add(1)
			exit := func(code int) {
				rig.sessions.Add(-1)
				s.Exit(code)
			}
			for most := rig.most.Load(); now > most && !rig.most.CompareAndSwap(most, now); {
				most = rig.most.Load()
			}
			args := s.Command()
			if len(args) != 2 || args[0] != uploadPack {
				exit(127)
				return
			}
			cmd := exec.CommandContext(s.Context(), "git", "upload-pack",
				filepath.Join(root, args[1]))
			cmd.Env = environment()
			if !old {
				cmd.Env = append(cmd.Env, s.Environ()...)
			}
			in, _ := cmd.StdinPipe()
			cmd.Stdout, cmd.Stderr = s, s.Stderr()
			if cmd.Start() == nil {
				go func() {
					io.Copy(in, s)
					in.Close()
				}()
				cmd.Wait()
			}
			exit(cmd.ProcessState.ExitCode())
		},
	}
	host := newSigner(t)
	rig.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rig.addr = listener.Addr().String()
	rig.hosts = hostLine(rig.addr, host.PublicKey())
	done := make(chan struct{})
	go func() {
		rig.Serve(listener)
		close(done)
	}()
	t.Cleanup(func() {
		rig.Close()
		<-done
	})
	return rig
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	private, _, err := NewKey("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hostLine(addr string, key ssh.PublicKey) []byte {
	host, port, _ := net.SplitHostPort(addr)
	return append([]byte("["+host+"]:"+port+" "), ssh.MarshalAuthorizedKey(key)...)
}

func (rig *sshTestServer) remote(name string) Remote {
	return Remote{URL: "ssh://git@" + rig.addr + "/" + name, Key: rig.key, KnownHosts: rig.hosts}
}

// startDaemon serves the repositories under root over git://, with one process per connection.
func startDaemon(t testing.TB, root string) (addr string) {
	return listen(t, func(conn net.Conn) {
		f, err := conn.(*net.TCPConn).File()
		if err != nil {
			return
		}
		defer f.Close()
		cmd := exec.Command("git", "daemon", "--inetd", "--export-all", "--base-path="+root, root)
		cmd.Env = environment()
		cmd.Stdin, cmd.Stdout = f, f
		cmd.Run()
	})
}

// listen serves each connection. At the end of the test it closes them all and waits.
func listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	over := make(chan struct{})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served := make(chan struct{})
			all.Go(func() {
				defer close(served)
				defer conn.Close()
				serve(conn)
			})
			all.Go(func() {
				select {
				case <-over:
					conn.Close()
				case <-served:
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(over)
		all.Wait()
	})
	return listener.Addr().String()
}

func newClient(t testing.TB) *Client {
	c := &Client{}
	t.Cleanup(func() { c.Close() })
	return c
}

// remotesOf returns the ways to reach the repositories under root, by name.
func remotesOf(t testing.TB, root string) map[string]func(name string) Remote {
	web, oldWeb := startWebServer(t, root, "", false), startWebServer(t, root, "", true)
	sshServer, oldSSH := startSSHServer(t, root, false), startSSHServer(t, root, true)
	plain := startDaemon(t, root)
	return map[string]func(string) Remote{
		"http":     func(name string) Remote { return Remote{URL: web.URL + "/" + name} },
		"http, v0": func(name string) Remote { return Remote{URL: oldWeb.URL + "/" + name} },
		"ssh":      sshServer.remote,
		"ssh, v0":  oldSSH.remote,
		"git":      func(name string) Remote { return Remote{URL: "git://" + plain + "/" + name} },
	}
}
