package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

func readTestFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// startRogue starts servers for HTTP and git:// that answer every request with what serve writes.
func startRogue(t testing.TB, serve func(io.Writer)) map[string]Remote {
	plain := listen(t, func(conn net.Conn) {
		conn.Read(make([]byte, 1000))
		serve(conn)
	})
	web := listen(t, func(conn net.Conn) {
		conn.Read(make([]byte, 1000))
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n"+
			"Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n")
		serve(conn)
	})
	return map[string]Remote{"git": {URL: "git://" + plain + "/x"},
		"http": {URL: "http://" + web + "/x"}}
}

func packetLines(all ...string) string {
	var q request
	for _, text := range all {
		q.addLine("%s", text)
	}
	return string(q)
}

func TestHostileAnswers(t *testing.T) {
	zeros := strings.Repeat("0", 40)
	forever := func(w io.Writer, lines string) {
		for {
			if _, err := io.WriteString(w, lines); err != nil {
				return
			}
		}
	}
	for name, test := range map[string]struct {
		serve func(io.Writer)
		err   error
		words string
	}{
		"nothing": {func(io.Writer) {}, errCutOff, ""},
		"a page": {func(w io.Writer) { io.WriteString(w, "<html><body>hello") }, errProtocol,
			""},
		"ssh": {func(w io.Writer) { io.WriteString(w, "SSH-2.0-OpenSSH_9.2\r\n") },
			errProtocol, ""},
		"half a line":  {func(w io.Writer) { io.WriteString(w, "000eversi") }, errCutOff, ""},
		"short length": {func(w io.Writer) { io.WriteString(w, "0003") }, errProtocol, ""},
		"long length": {func(w io.Writer) { io.WriteString(w, "ffff"+long('a', 65531)) },
			errProtocol, ""},
		"no commands": {func(w io.Writer) { io.WriteString(w, "000eversion 2\n0000") },
			errProtocol, ""},
		"sha256": {func(w io.Writer) {
			io.WriteString(w, packetLines("version 2", "object-format=sha256", "ls-refs")+"0000")
		}, ErrNotFound, "sha256"},
		"its own words": {func(w io.Writer) {
			io.WriteString(w,
				packetLines("ERR \x1b[2Jquota\nx!"))
		}, nil, "the server says: [2Jquota x!"},
		"not found": {func(w io.Writer) {
			io.WriteString(w,
				packetLines("ERR access denied or not found"))
		}, ErrNotFound, ""},
		"endless text": {func(w io.Writer) { forever(w, "0010agent=xxxxxx") }, errProtocol, ""},
		"endless v2": {func(w io.Writer) {
			io.WriteString(w, "000eversion 2\n")
			forever(w,
				"0010agent=xxxxxx")
		}, ErrTooLarge, ""},
		"endless refs": {func(w io.Writer) {
			io.WriteString(w, "0034"+zeros+" HEAD\x00x\n")
			forever(w, "003d"+zeros+" refs/heads/x/yz\n")
		}, ErrTooLarge, ""},
		"refs cut": {func(w io.Writer) {
			io.WriteString(w, "0034"+zeros+" HEAD\x00x\n"+"003d"+
				zeros+" refs/heads/x/yz\n")
		}, errCutOff, ""},
		"delimiter": {func(w io.Writer) { io.WriteString(w, "0034"+zeros+" HEAD\x00x\n0001") },
			errProtocol, ""},
		"no commit name": {func(w io.Writer) {
			io.WriteString(w, "0034"+zeros[1:]+
				"z HEAD\x00x\n0000")
		}, errProtocol, ""},
	} {
		for way, remote := range startRogue(t, test.serve) {
			c := &Client{MaxRefs: 1 << 20}
			_, err := c.Head(t.Context(), remote, Ref{Branch: "main"})
			if err == nil || test.err != nil && !errors.Is(err, test.err) ||
				!strings.Contains(err.Error(), test.words) {
				t.Errorf("%s, %s: %v", name, way, err)
			} else if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%s, %s: %q", name, way, err)
			}
			c.Close()
		}
	}
}

// flakyProxy passes a limited number of bytes from a server.
type flakyProxy struct {
	left atomic.Int64
	cut  bool // then closes the connection; else it falls silent
}

func (v *flakyProxy) before(t testing.TB, server string) (addr string) {
	return listen(t, func(conn net.Conn) {
		behind, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer behind.Close()
		go func() {
			io.Copy(behind, conn)
			behind.Close()
		}()
		for buf := make([]byte, 1000); ; {
			n, err := behind.Read(buf)
			if v.left.Add(-int64(n)) < 0 {
				if !v.cut {
					io.Copy(io.Discard, behind) // until the client hangs up
				}
				return
			}
			conn.Write(buf[:n])
			if err != nil {
				return
			}
		}
	})
}

// A connection that breaks or falls silent, at several points, is an error in time. Afterwards the
// client works again.
func TestBrokenConnections(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	files := map[string]string{"noise": string(noise(300 << 10))}
	commit := r.commit("main", files)
	web := startWebServer(t, root, "", false)
	sshServer := startSSHServer(t, root, false)
	plain := startDaemon(t, root)
	for _, cut := range []bool{true, false} {
		for way, server := range map[string]string{"http": web.Listener.Addr().String(),
			"ssh": sshServer.addr, "git": plain} {
			t.Run(fmt.Sprintf("%s, cut %v", way, cut), func(t *testing.T) {
				v := flakyProxy{cut: cut}
				addr := v.before(t, server)
				remote := Remote{URL: way + "://" + addr + "/repo.git"}
				if way == "ssh" {
					_, key, _ := strings.Cut(string(sshServer.hosts), " ")
					host, port, _ := net.SplitHostPort(addr)
					remote = Remote{URL: "ssh://git@" + addr + "/repo.git", Key: sshServer.key,
						KnownHosts: []byte("[" + host + "]:" + port + " " + key)}
				}
				dir := filepath.Join(t.TempDir(), "source.git")
				v.left.Store(1 << 30)
				for _, pass := range []int64{30, 150_000} {
					c := &Client{HeadTimeout: 200 * time.Millisecond,
						StallTimeout: 200 * time.Millisecond}
					for _, kept := range []bool{false, true} {
						if kept {
							v.left.Store(1 << 30)
							c.HeadTimeout = headTimeout
							if _, err := c.Head(t.Context(), remote, Ref{Branch: "main"}); err != nil {
								t.Fatal(err)
							}
							c.HeadTimeout = 200 * time.Millisecond
						}
						v.left.Store(pass)
						if _, err := c.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir); err == nil ||
							!cut && !errors.Is(err, ErrTimeout) {
							t.Errorf("fetch, %d bytes, kept %v: %v", pass, kept, err)
						}
						if pass < 1000 {
							v.left.Store(pass)
							if _, err := c.Head(t.Context(), remote, Ref{Branch: "main"}); err == nil || !cut &&
								!errors.Is(err, ErrTimeout) {
								t.Errorf("Head, %d bytes, kept %v: %v", pass, kept, err)
							}
						}
						if _, err := os.Stat(dir); err == nil {
							t.Error("a store without a commit")
						}
					}
					c.Close()
				}
				v.left.Store(1 << 30)
				fetchOK(t, newClient(t), remote, "main", dir, commit, files)
			})
		}
	}
}

// A server that sends a byte now and then is not silent, but it times out.
func TestSlowServer(t *testing.T) {
	for way, remote := range startRogue(t, func(w io.Writer) {
		for _, b := range "fff0" + long('a', 65516) {
			if _, err := fmt.Fprintf(w, "%c", b); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}) {
		c := &Client{HeadTimeout: 300 * time.Millisecond, FetchTimeout: 300 * time.Millisecond}
		if _, err := c.Head(t.Context(), remote, Ref{Branch: "main"}); !errors.Is(err, ErrTimeout) {
			t.Error(way, err)
		}
		if _, err := c.Fetch(t.Context(), remote, Ref{Branch: "main"}, t.TempDir()+"/x"); !errors.Is(err,
			ErrTimeout) {
			t.Error(way, err)
		}
		c.Close()
	}
}

// The end of the caller's context is told apart from a silent server.
func TestCancelled(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := listen(t, func(conn net.Conn) {
		conn.Read(make([]byte, 1000))
		asked <- struct{}{}
		io.Copy(io.Discard, conn)
	})
	for _, scheme := range []string{"http", "git", "ssh"} {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() {
			_, err := newClient(t).Fetch(ctx, Remote{URL: scheme + "://" + server + "/x"}, Ref{Branch: "main"},
				t.TempDir()+"/x")
			result <- err
		}()
		<-asked
		cancel()
		if err := <-result; !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// Version 2 sends only the wanted reference. Version 0 sends all, and reading stops at a limit.
func TestManyReferences(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commit := r.commit("main", map[string]string{"a": "1"})
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range 20_000 {
		fmt.Fprintf(&packed, "%s refs/heads/b%06d\n", commit, i)
	}
	fmt.Fprintf(&packed, "%s refs/heads/main\n", commit)
	if err := errors.Join(os.Remove(r.dir+"/refs/heads/main"),
		os.WriteFile(r.dir+"/packed-refs", []byte(packed.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, old := range []bool{false, true} {
		c := newClient(t)
		remote := Remote{URL: startWebServer(t, root, "", old).URL + "/repo.git"}
		if head, err := c.Head(t.Context(), remote, Ref{}); head.Commit != commit {
			t.Error(err)
		}
		small := &Client{MaxRefs: 1 << 20}
		if _, err := small.Head(t.Context(), remote, Ref{}); old != errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		small.Close()
	}
}

// A commit that git would refuse in a push is not fetched, whatever sends it. Once the branch is
// repaired, it is fetched.
func TestBrokenCommits(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	files := map[string]string{"a": "1"}
	r.commit("main", files)
	file := r.git("evil", "hash-object", "-w", "--stdin")
	tree := func(entries ...string) string { // "mode name hash"
		var content strings.Builder
		for _, e := range entries {
			fields := strings.Fields(e)
			hash := plumbing.NewHash(fields[2])
			content.WriteString(fields[0] + " " + fields[1] + "\x00" + string(hash[:]))
		}
		return r.git(content.String(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	}
	inner := tree("100644 config " + file)
	c := newClient(t)
	remote := Remote{URL: startWebServer(t, root, "", false).URL + "/repo.git"}
	dir := filepath.Join(t.TempDir(), "source.git")
	for word, tree := range map[string]string{
		"hasDotdot":         tree("40000 .. " + inner),
		"hasDot":            tree("40000 . " + inner),
		"hasDotgit":         tree("40000 .git " + inner),
		"fullPathname":      tree("100644 a/b " + file),
		"duplicateEntries":  tree("120000 a "+file, "40000 a "+inner),
		"treeNotSorted":     tree("100644 b "+file, "100644 a "+file),
		"gitmodulesSymlink": tree("120000 .gitmodules " + file),
		"gitmodulesUrl": tree("100644 .gitmodules " +
			r.git("[submodule \"a\"]\n\turl = --upload-pack=x\n", "hash-object", "-w", "--stdin")),
	} {
		r.git("", "update-ref", "refs/heads/main", r.git("", "commit-tree", "-m", "x", tree))
		for range 2 {
			commit, err := c.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir)
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %s, %v", word, commit, err)
			}
		}
		good := r.put("main", files)
		fetchOK(t, c, remote, "main", dir, good, files)
	}
}
