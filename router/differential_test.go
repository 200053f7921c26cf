package router

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// nodeApp answers every request and prints it: the ID, the method, the target and the body.
const nodeApp = `
require('http').createServer((req, res) => {
	let body = ''
	req.setEncoding('latin1')
	req.on('data', part => body += part)
	req.on('end', () => {
		const ours = req.headers['x-forwarded-for'] === '127.0.0.1' && req.headers['x-request-id']
		console.log((ours || 'smuggled') + '\t' + JSON.stringify([req.method, req.url, body]))
		res.end('ok')
	})
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
`

// asSeen records the requests that an app saw, by request ID.
type asSeen struct {
	mu  sync.Mutex
	all map[string][]string
}

func (s *asSeen) add(id, request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]string{}
	}
	s.all[id] = append(s.all[id], request)
}

func (s *asSeen) of(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.all[id])
	slices.Sort(all)
	return all
}

// node runs nodeApp until the test ends.
func node(t *testing.T) (addr string, seen *asSeen) {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: apt-get install nodejs")
	}
	cmd := exec.Command(path, "-e", nodeApp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(out)
	port, err := br.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	seen = &asSeen{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			id, request, _ := strings.Cut(strings.TrimSpace(line), "\t")
			seen.add(id, request)
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
	})
	return net.JoinHostPort("127.0.0.1", strings.TrimSpace(port)), seen
}

// netHTTP is the same app with net/http.
func netHTTP(t *testing.T) (addr string, seen *asSeen) {
	seen = &asSeen{}
	return startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		id := req.Header.Get("X-Request-Id")
		if id == "" || strings.Join(req.Header.Values("X-Forwarded-For"), "") != "127.0.0.1" {
			id = "smuggled"
		}
		var latin strings.Builder
		for _, b := range body {
			latin.WriteRune(rune(b))
		}
		request, _ := json.Marshal([]string{req.Method, req.RequestURI, latin.String()})
		seen.add(id, string(request))
		io.WriteString(w, "ok")
	}), seen
}

// hostile returns two requests; the first has a few mistakes and a third request in its body.
func hostile(dice *rand.Rand, host, id string) string {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\nX-Request-Id: hidden\r\n\r\n"
	pick := func(all ...string) string { return all[dice.Intn(len(all))] }
	rarely := func(usual string, all ...string) string {
		if dice.Intn(25) > 0 {
			return usual
		}
		return pick(all...)
	}
	end := func() string {
		return rarely("\r\n", "\n", "\r", "\r\r\n", "\r\n ", "\r\n\t", "\x00\r\n", "\x0b\r\n",
			"\u0085\r\n")
	}
	name := func(s string) string {
		return rarely(s, strings.ToUpper(s), s+" ", " "+s, s+"\t", s+"\x00",
			strings.ReplaceAll(s, "-", "_"), strings.ReplaceAll(s, "-", "."), "\u212a"+s, s+"\r")
	}
	chunked := rarely("chunked", "Chunked", "chunked ", "\tchunked", "\x0bchunked", "xchunked",
		"chunked, identity", "identity, chunked", "gzip, chunked", ",chunked", "chunked,",
		"chunked;q=1", "\"chunked\"", "chu\u212aed", "identity", "")
	var body string
	switch dice.Intn(4) {
	case 0:
		body = "0\r\n\r\n" + hidden
	case 1:
		body = fmt.Sprintf("%x%s%s%s%s0\r\n%s\r\n", len(hidden),
			rarely("", ";x", ";x=\n", " ", "\t", "\x00", ";x=\"\r\n\""), rarely("\r\n", "\n", "\r"),
			hidden, rarely("\r\n", "\n", "", "XX"),
			rarely("", "", "", "X: y\r\n", "Transfer-Encoding: chunked\r\n",
				"Content-Length: 5\r\n", "X-Forwarded-For: 7\r\n", " x\r\n"))
	case 2:
		body = hidden
	case 3:
		body = pick("+", "-", "0x", " ", "00000000", "0000000000000000000") +
			"5\r\nhello\r\n0\r\n\r\n" + hidden
	}
	length := rarely(strconv.Itoa(len(body)), "+5", "-1", "0x5", "5 ", "5,5", "05", "5;", "", "0",
		"99999999999999999999", "\u0665", strconv.Itoa(len(body)-len(hidden)))
	fields := []string{name("Host") + ": " + host, "X-Request-Id: " + id}
	for _, f := range []string{
		name("Transfer-Encoding") + ":" + rarely(" ", "", "\t") + chunked, name("Content-Length") +
			": " + length, "Connection: " + pick("keep-alive", "Transfer-Encoding",
			"Content-Length, X-Request-Id", "Host", "Upgrade"),
		"Expect: " + rarely("100-continue", "100-Continue", "x"), "Upgrade: " +
			pick("websocket", "h2c"), rarely("A: b", "Transfer-Encoding: "+chunked),
		"TE: " + pick("trailers", "chunked"), "Trailer: Content-Length", name("X") + ": " +
			rarely("a", "a\r\n b", "\u00fc", "\x80"),
	} {
		if dice.Intn(3) == 0 {
			fields = append(fields, f)
		}
	}
	dice.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	var head strings.Builder
	head.WriteString(rarely(pick("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"), "get",
		"M-SEARCH", "P\x00", "CONNECT") + rarely(" ", "\t", "  ") +
		rarely(pick("/", "/a?b", "//x/../y"), "/%00", "/\u00fc", "http://"+host+"/z", "http://x@"+
			host+"/", "*", "/a#b", "/\\", "/\x7f", "?q") + rarely(" HTTP/1.1", " HTTP/1.0",
		" HTTP/1.9", " HTTP/0.9", "", " HTTP/1.1 ", " http/1.1") + end())
	for _, f := range fields {
		head.WriteString(f + end())
	}
	return head.String() + "\r\n" + body + "GET /last HTTP/1.1\r\nHost: " + host +
		"\r\nX-Request-Id: " + id + "-last\r\nConnection: close\r\n\r\n"
}

// However a request is written, Node and net/http see the same requests behind the router, and none
// that it did not forward.
func TestDifferentServersSeeTheSame(t *testing.T) {
	r := &Router{StallTimeout: 50 * time.Millisecond, ReadHeaderTimeout: 50 * time.Millisecond,
		HalfCloseTimeout: time.Second}
	addr := start(t, r)
	nodeAddr, seenByNode := node(t)
	goAddr, seenByGo := netHTTP(t)
	r.Set("node", routeTo(nodeAddr))
	r.Set("http", routeTo(goAddr))
	const count = 500
	said := map[string]string{}
	for seed := range count {
		id := fmt.Sprintf("s%d", seed)
		for _, host := range []string{"node.localhost", "http.localhost"} {
			said[id] = hostile(rand.New(rand.NewSource(int64(seed))), host, id)
			c, br := dial(t, addr)
			io.WriteString(c, said[id])
			c.(*net.TCPConn).CloseWrite()
			if _, err := io.ReadAll(br); isTimeout(err) {
				t.Errorf("%q: no end", said[id])
			}
			c.Close()
		}
	}
	passed := 0
	for id, text := range said {
		for _, id := range []string{id, id + "-last"} {
			byNode, byGo := seenByNode.of(id), seenByGo.of(id)
			// either may refuse some methods, targets and trailers
			if len(byNode) > 0 && len(byGo) > 0 {
				passed++
				if !slices.Equal(byNode, byGo) {
					t.Errorf("%q: node saw %v, net/http %v", text, byNode, byGo)
				}
			}
		}
	}
	for _, seen := range []*asSeen{seenByNode, seenByGo} {
		for _, id := range []string{"smuggled", "hidden"} {
			if all := seen.of(id); len(all) > 0 {
				t.Errorf("%s: %q", id, all)
			}
		}
	}
	t.Logf("%d requests of %d streams reached the apps", passed, count)
	if passed < count/10 {
		t.Error("most were refused: this tests nothing")
	}
}
