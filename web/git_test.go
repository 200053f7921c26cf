package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/volume"
)

// repository serves git clients from one bare repository, and records what they asked for.
type repository struct {
	dir   string
	say   string                             // to the client, once git has ended
	serve func(context.Context, Request) int // instead of git; may be nil

	mu    sync.Mutex
	asked []Request
}

func (g *repository) Serve(ctx context.Context, who Identity, q Request) int {
	g.mu.Lock()
	g.asked = append(g.asked, q)
	g.mu.Unlock()
	if g.serve != nil {
		return g.serve(ctx, q)
	}
	args := []string{strings.TrimPrefix(q.Service, "git-"), "--stateless-rpc"}
	if q.Listing {
		args = append(args, "--http-backend-info-refs")
	}
	cmd := exec.CommandContext(ctx, "git", append(args, g.dir)...)
	cmd.Env = append(os.Environ(), "GIT_PROTOCOL="+q.Protocol)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = q.Stdin, q.Stdout, q.Stderr
	cmd.Run()
	io.WriteString(q.Stderr, g.say)
	return cmd.ProcessState.ExitCode()
}

// Admit implements [Git]. There are two apps, one of which nobody may use.
func (g *repository) Admit(_ Identity, app string) error {
	switch app {
	case "blog":
		return nil
	case "secret":
		return errors.New("alice may only view it")
	}
	return NoApp{fmt.Errorf("no app %q", app)}
}

func (g *repository) pushes() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.asked {
		if q.Service == receivePack && !q.Listing {
			n++
		}
	}
	return n
}

const goodToken = "paas_good"

// Lookup implements [Tokens].
func (g *repository) Lookup(secret string, from netip.Addr) (Identity, error) {
	if secret != goodToken {
		return Identity{}, errors.New("this token is wrong")
	}
	return Identity{Name: "alice", Token: "ci", From: from}, nil
}

// start serves a repository, and returns its URL without the scheme.
func start(t *testing.T, g *repository) string {
	t.Helper()
	g.dir = filepath.Join(t.TempDir(), "repo.git")
	runGit(t, ".", "init", "-q", "--bare", "-b", "main", g.dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, g, l)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String() + "/blog"
}

const maxInput = 1 << 20

func newServer(t *testing.T, g *repository, l net.Listener) *Server {
	return &Server{
		Listener: l, Tokens: g, Git: g, AppName: volume.CheckName, MaxInput: maxInput, MaxRequests: 4,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// runGit runs git in dir as a person on this machine does, and returns what it prints.
func runGit(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@localhost",
		"-c", "http.extraHeader=X-Real-Ip: 127.0.0.1"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true")
	out, err := cmd.CombinedOutput()
	t.Logf("git %s\n%s", strings.Join(args, " "), out)
	return string(out), err
}

// commit makes a repository with one commit, which has a file of so many random bytes.
func commit(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	content := make([]byte, size)
	rand.Read(content)
	if err := os.WriteFile(filepath.Join(dir, "file"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-qm", "one"}} {
		if _, err := runGit(t, dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What the server says after git's report reaches the pusher, of a small push and of a large one,
// which git sends in chunks after a request that only tests the connection.
func TestPush(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "chunked": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			g := &repository{say: "it is live\n"}
			to := start(t, g)
			out, err := runGit(t, commit(t, size), "push", "http://any:"+goodToken+"@"+to+".git", "main")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, "remote: it is live") {
				t.Error("what the server said is lost")
			}
			if n := g.pushes(); n != 1 {
				t.Errorf("%d pushes", n)
			}
		})
	}
}

// Clones work with each version of git's protocol, and so do shallow and partial ones.
func TestFetch(t *testing.T) {
	g := &repository{}
	to := "http://any:" + goodToken + "@" + start(t, g)
	runGit(t, g.dir, "config", "uploadpack.allowFilter", "true")
	if _, err := runGit(t, commit(t, 100), "push", to, "main"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-c", "protocol.version=0", "clone"}, {"-c", "protocol.version=1", "clone"}, {"clone"},
		{"clone", "--depth=1"}, {"clone", "--filter=blob:none"},
	} {
		dir := t.TempDir()
		if _, err := runGit(t, dir, append(args, to, "again")...); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(dir, "again", "file")); err != nil || info.Size() != 100 {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// git prints why it is refused before it starts, and why a fetch fails later.
func TestRefusal(t *testing.T) {
	g := &repository{serve: func(_ context.Context, q Request) int {
		io.WriteString(q.Stderr, "not here\n")
		return 1
	}}
	to := start(t, g)
	out, err := runGit(t, commit(t, 1), "push", "http://any:"+goodToken+"@"+to, "main")
	if err == nil || !strings.Contains(out, "remote: not here") {
		t.Errorf("push: %v", err)
	}
	if _, text := ask(t, post(to, uploadPack, strings.NewReader(flushPacket))); text != packet("ERR not here") {
		t.Errorf("fetch: %q", text)
	}
}

// What is refused, and what the client reads then.
func TestRequests(t *testing.T) {
	const refs = "/info/refs?service=git-upload-pack"
	g := &repository{}
	host := strings.TrimSuffix(start(t, g), "/blog")
	for name, c := range map[string]struct {
		method, path, token, from, scheme, kind string
		status                                  int
		text                                    string
	}{
		"a good token":            {path: "/blog" + refs, token: goodToken, status: 200, text: "service=git-upload-pack"},
		"a wrong one":             {path: "/blog" + refs, token: "paas_bad", status: 401, text: "this token is wrong"},
		"none":                    {path: "/blog" + refs, status: 401, text: "needs a token"},
		"over TLS":                {path: "/blog" + refs, token: goodToken, from: "192.0.2.1", scheme: "https", status: 200},
		"not encrypted":           {path: "/blog" + refs, token: goodToken, from: "192.0.2.1", status: 403, text: "https://"},
		"from nobody knows where": {path: "/blog" + refs, token: goodToken, from: "-", status: 403},
		"a claim to be here":      {path: "/blog" + refs, token: goodToken, from: "127.0.0.1, 192.0.2.1", status: 403},
		"the app's page":          {path: "/blog", token: goodToken, status: 404, text: "git push http://" + host + "/APP"},
		"a file of git's":         {path: "/blog/HEAD", token: goodToken, status: 404},
		"below an app":            {path: "/blog/x" + refs, token: goodToken, status: 404},
		"above the apps":          {path: "/../blog" + refs, token: goodToken, status: 404},
		"a hidden slash":          {path: "/x%2fblog" + refs, token: goodToken, status: 404},
		"no app":                  {path: "//info/refs?service=git-upload-pack", token: goodToken, status: 404},
		"another app":             {path: "/other" + refs, token: goodToken, status: 404, text: `no app "other"`},
		"without a right":         {path: "/secret" + refs, token: goodToken, status: 403, text: "alice may only view it"},
		"not a name":              {path: "/Blog" + refs, token: goodToken, status: 404, text: "Blog"},
		"an old client":           {path: "/blog/info/refs", token: goodToken, status: 403, text: "too old"},
		"another service":         {path: "/blog/info/refs?service=git-upload-archive", token: goodToken, status: 400},
		"a token in the address":  {path: "/blog" + refs + "&token=" + goodToken, status: 400, text: "revoke it"},
		"one there elsewhere":     {path: "/?access_token=" + goodToken, status: 400, text: "revoke it"},
		"a method":                {method: "POST", path: "/blog" + refs, token: goodToken, status: 405},
		"another":                 {path: "/blog/git-receive-pack", token: goodToken, status: 405},
		"a form":                  {method: "POST", path: "/blog/git-receive-pack", token: goodToken, kind: "text/plain", status: 415},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(cmp.Or(c.method, "GET"), "http://"+host+"/", nil)
			r.RequestURI = ""
			r.URL.Opaque = "//" + host + c.path // as it is
			r.Header.Set("Content-Type", c.kind)
			r.Header.Set("X-Forwarded-Proto", cmp.Or(c.scheme, "http"))
			r.Header.Set("X-Real-Ip", cmp.Or(c.from, "127.0.0.1"))
			if c.token != "" {
				r.SetBasicAuth("any", c.token)
			}
			resp, text := ask(t, r)
			if resp.StatusCode != c.status {
				t.Errorf("status %d", resp.StatusCode)
			}
			if !strings.Contains(text, c.text) {
				t.Errorf("%q", text)
			}
			if c.status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Error("git would not ask for a password")
			}
			if kind := resp.Header.Get("Content-Type"); c.status > 200 && kind != plainText {
				t.Errorf("%s, which git does not show", kind)
			}
		})
	}
}

// Git LFS reads why it cannot send its files.
func TestLFS(t *testing.T) {
	to := start(t, &repository{})
	resp, text := ask(t, post(to, "info/lfs/objects/batch", strings.NewReader("{}")))
	if kind := resp.Header.Get("Content-Type"); kind != "application/vnd.git-lfs+json" {
		t.Errorf("%s, which Git LFS does not show", kind)
	}
	if !strings.HasPrefix(text, `{"message":"Git LFS is not supported`) {
		t.Errorf("%q", text)
	}
}

// After ten wrong tokens a minute, an address is told to wait. A good token still works: others may
// share the address.
func TestManyWrongTokens(t *testing.T) {
	g := &repository{}
	to := start(t, g)
	try := func(token string) int {
		r := post(to, uploadPack, strings.NewReader(flushPacket))
		r.SetBasicAuth("any", token)
		resp, _ := ask(t, r)
		return resp.StatusCode
	}
	for range maxFailures {
		if status := try("paas_bad"); status != 401 {
			t.Fatal(status)
		}
	}
	if status := try("paas_bad"); status != 429 {
		t.Errorf("a wrong token: %d", status)
	}
	if status := try(goodToken); status != 200 {
		t.Errorf("a good token: %d", status)
	}
	if status := try(""); status != 401 { // git asks for a token only then
		t.Errorf("none: %d", status)
	}
}

// A compressed request is decompressed, up to a limit.
func TestCompressedRequest(t *testing.T) {
	sizes := make(chan int64, 1)
	g := &repository{serve: func(_ context.Context, q Request) int {
		n, _ := io.Copy(io.Discard, q.Stdin)
		sizes <- n
		return 0
	}}
	to := start(t, g)
	for size, want := range map[int64]int64{3000: 3000, 8 << 20: maxInput} {
		var body bytes.Buffer
		gz := gzip.NewWriter(&body)
		io.CopyN(gz, zeros{}, size)
		gz.Close()
		r := post(to, uploadPack, &body)
		r.Header.Set("Content-Encoding", "gzip")
		ask(t, r)
		if got := <-sizes; got != want {
			t.Errorf("of %d bytes git got %d, want %d", size, got, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// If the client leaves while nothing is said, the push learns that at once.
func TestClientLeaves(t *testing.T) {
	began, left := make(chan struct{}), make(chan struct{})
	g := &repository{serve: func(ctx context.Context, q Request) int {
		io.Copy(io.Discard, q.Stdin)
		close(began)
		<-ctx.Done()
		close(left)
		return 1
	}}
	r := post(start(t, g), receivePack, strings.NewReader(someCommand))
	ctx, leave := context.WithCancel(context.Background())
	go http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	<-began
	leave()
	<-left
}

// A client that does not know the sideband gets git's output as it is: text would spoil it.
func TestPushWithoutSideband(t *testing.T) {
	const report = "000eunpack ok\n0000"
	g := &repository{serve: func(_ context.Context, q Request) int {
		io.WriteString(q.Stderr, "from a hook\n")
		io.WriteString(q.Stdout, report)
		return 0
	}}
	command := packet("command\x00 report-status") + flushPacket
	if _, text := ask(t, post(start(t, g), receivePack, strings.NewReader(command))); text != report {
		t.Errorf("%q", text)
	}
}

// A client that asks first whether its body is wanted is told so.
func TestExpectContinue(t *testing.T) {
	sizes := make(chan int64, 1)
	g := &repository{serve: func(_ context.Context, q Request) int {
		n, _ := io.Copy(io.Discard, q.Stdin)
		sizes <- n
		return 0
	}}
	r := post(start(t, g), uploadPack, io.LimitReader(zeros{}, 2<<20))
	r.Header.Set("Expect", "100-continue")
	continued := false
	trace := &httptrace.ClientTrace{Got100Continue: func() { continued = true }}
	client := &http.Transport{ExpectContinueTimeout: time.Hour}
	defer client.CloseIdleConnections()
	resp, err := client.RoundTrip(r.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := <-sizes; n != 2<<20 || !continued {
		t.Errorf("%d bytes, continued: %v", n, continued)
	}
}

// A client that sends more than git wants to read still reads why.
func TestRefusedWhileSending(t *testing.T) {
	g := &repository{serve: func(_ context.Context, q Request) int {
		go io.Copy(io.Discard, q.Stdin) // still reads when git has ended
		io.WriteString(q.Stderr, "too much\n")
		return 1
	}}
	to := start(t, g)
	resp, text := ask(t, post(to, receivePack, io.LimitReader(zeros{}, 8<<20)))
	if resp.StatusCode != 200 || text != packet("\x02too much\n") {
		t.Errorf("%d %q", resp.StatusCode, text)
	}
}

// A person may have half of the requests at once, and the next one waits.
func TestManyRequests(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	g := &repository{serve: func(_ context.Context, q Request) int {
		began <- struct{}{}
		<-end
		return 0
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, g, l)
	s.QueueTimeout = 10 * time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var all sync.WaitGroup
	push := func() (*http.Response, string) {
		return ask(t, post(l.Addr().String()+"/blog", receivePack, strings.NewReader(someCommand)))
	}
	for range 2 {
		all.Go(func() { push() })
		<-began
	}
	if resp, text := push(); resp.StatusCode != 503 || !strings.Contains(text, "too many connections at once") {
		t.Errorf("the third: %d %q", resp.StatusCode, text)
	}
	close(end)
	all.Wait()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A server that stops waits for the push under way, and cancels it when the time is over.
func TestStop(t *testing.T) {
	for name, drain := range map[string]time.Duration{"waits": time.Hour, "cancels": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			began, end := make(chan struct{}), make(chan struct{})
			g := &repository{serve: func(ctx context.Context, q Request) int {
				close(began)
				select {
				case <-end:
					io.WriteString(q.Stderr, "done\n")
				case <-ctx.Done():
					io.WriteString(q.Stderr, "cancelled\n")
				}
				return 0
			}}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, g, l)
			s.DrainTimeout = drain
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			said := make(chan string)
			go func() {
				_, text := ask(t, post(l.Addr().String()+"/blog", receivePack, strings.NewReader(someCommand)))
				said <- text
			}()
			<-began
			stop()
			want := packet("\x02cancelled\n")
			if name == "waits" {
				want = packet("\x02done\n")
				close(end)
			}
			if got := <-said; got != want {
				t.Errorf("%q", got)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

var someCommand = packet("command\x00 side-band-64k") + flushPacket

// post is a request of git's for the app.
func post(to, service string, body io.Reader) *http.Request {
	r, err := http.NewRequest("POST", "http://"+to+"/"+service, body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-"+service+"-request")
	r.Header.Set("X-Real-Ip", "127.0.0.1")
	r.SetBasicAuth("any", goodToken)
	return r
}

// ask sends a request, and returns the response with its text.
func ask(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}
