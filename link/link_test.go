package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/rig"
)

func newKey(t *testing.T) Key {
	t.Helper()
	k := Key{Dir: t.TempDir()}
	if err := k.Make(); err != nil {
		t.Fatal(err)
	}
	return k
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// role is a role that admits fronts at addr until stop.
type role struct {
	door *Door
	addr string
	stop func()
	log  *rig.Screen
}

// startRole starts a role. It answers requests with what they say.
func startRole(t *testing.T, key Key, addr string) *role {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &role{addr: l.Addr().String(), log: &rig.Screen{}}
	r.door = &Door{Key: key, Publisher: &Publisher{}, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				if r.door.Greet(ctx, conn) {
					io.Copy(conn, conn)
				}
			})
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		l.Close()
		conns.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// The key is made once, however many roles start at the same time, and nobody else may read it.
func TestKey(t *testing.T) {
	k := Key{Dir: t.TempDir()}
	var all sync.WaitGroup
	keys := make([]string, 8)
	for n := range keys {
		all.Go(func() {
			if err := k.Make(); err != nil {
				t.Error(err)
			}
			key, err := k.read()
			if err != nil {
				t.Error(err)
			}
			keys[n] = string(key)
		})
	}
	all.Wait()
	for _, key := range keys {
		if key != keys[0] {
			t.Errorf("%q and %q", key, keys[0])
		}
	}
	if info, err := os.Stat(k.path()); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(k.Dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if err := os.WriteFile(k.path(), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Make(); err == nil {
		t.Error("a short key is taken")
	}
}

func TestRequests(t *testing.T) {
	key := newKey(t)
	r := startRole(t, key, "127.0.0.1:0")
	conn, err := key.Dial(t.Context(), r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// A role refuses a front with another key, and says so. The front does not believe the role either.
func TestOtherKey(t *testing.T) {
	r := startRole(t, newKey(t), "127.0.0.1:0")
	other := newKey(t)
	if _, err := other.Dial(t.Context(), r.addr); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// It guesses, but it does as a front does.
	hello := append([]byte(magic+"r"), make([]byte, 32)...)
	conn.Write(hello)
	io.ReadFull(conn, make([]byte, 64))
	conn.Write(make([]byte, 32))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a guess is admitted")
	}
	rig.Eventually(t, "a warning", func() bool { return bytes.Contains([]byte(r.log.String()), []byte("refused a front")) })
}

// listener hears all that goes through a connection.
type listener struct {
	net.Conn
	sent bytes.Buffer
}

func (l *listener) Write(p []byte) (int, error) {
	l.sent.Write(p)
	return l.Conn.Write(p)
}

// startPrivate starts a role that repeats what it hears in private.
func startPrivate(t *testing.T, key Key) *role {
	t.Helper()
	r := startRole(t, key, "127.0.0.1:0")
	r.door.PrivateKey = key
	r.door.Private = func(_ context.Context, conn net.Conn) { io.Copy(conn, conn) }
	return r
}

// between passes on what goes to addr, and records it. change may replace the connection to addr once
// the front has introduced itself; it may be nil.
func between(t *testing.T, addr string, change func(front, role net.Conn)) (through string, heard *rig.Screen) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heard = &rig.Screen{}
	go func() {
		front, err := l.Accept()
		if err != nil {
			return
		}
		defer front.Close()
		role, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer role.Close()
		if change != nil {
			change(front, role)
			return
		}
		go func() {
			io.Copy(front, io.TeeReader(role, heard))
			front.Close()
		}()
		io.Copy(role, io.TeeReader(front, heard))
	}()
	return l.Addr().String(), heard
}

// What is private can be read by nobody on the way.
func TestPrivate(t *testing.T) {
	key := newKey(t)
	through, heard := between(t, startPrivate(t, key).addr, nil)
	conn, err := key.DialPrivate(t.Context(), through, key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const secret = "-----BEGIN PRIVATE KEY-----"
	io.WriteString(conn, secret)
	got := make([]byte, len(secret))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != secret {
		t.Errorf("%q, %v", got, err)
	}
	if said := heard.String(); bytes.Contains([]byte(said), []byte(secret)) || len(said) < 500 {
		t.Errorf("%d bytes on the way, with the secret", len(said))
	}
}

// Somebody in between who lets both ends introduce themselves, and then speaks TLS with each, is
// noticed by both.
func TestPrivateInBetween(t *testing.T) {
	key := newKey(t)
	r := startPrivate(t, key)
	admitted := make(chan bool, 1)
	r.door.Private = func(context.Context, net.Conn) { admitted <- true }
	through, _ := between(t, r.addr, func(front, role net.Conn) {
		for _, part := range []struct {
			from, to net.Conn
			bytes    int64
		}{{front, role, int64(len(magic)) + 33}, {role, front, 64}, {front, role, 32}} {
			io.CopyN(part.to, part.from, part.bytes)
		}
		here := tls.Server(front, &tls.Config{Certificates: []tls.Certificate{passing()}})
		there := tls.Client(role, &tls.Config{InsecureSkipVerify: true})
		go func() {
			io.Copy(here, there)
			here.Close()
		}()
		io.Copy(there, here)
	})
	if conn, err := key.DialPrivate(t.Context(), through, key); !errors.Is(err, ErrKey) {
		t.Errorf("%v, %v", conn, err)
	}
	rig.Eventually(t, "a warning", func() bool {
		return bytes.Contains([]byte(r.log.String()), []byte("refused a front"))
	})
	if len(admitted) > 0 {
		t.Error("the role believes it")
	}
}

// To know the key that all roles have is not enough, for either end.
func TestPrivateSecondKey(t *testing.T) {
	key := newKey(t)
	r := startPrivate(t, key)
	private := make(chan bool, 1)
	r.door.Private, r.door.PrivateKey = func(context.Context, net.Conn) { private <- true }, newKey(t)
	if _, err := key.DialPrivate(t.Context(), r.addr, key); !errors.Is(err, ErrKey) {
		t.Errorf("a role with another second key: %v", err)
	}
	rig.Eventually(t, "a warning", func() bool { return bytes.Contains([]byte(r.log.String()), []byte("refused a front")) })
	if len(private) > 0 {
		t.Error("a front with another second key is let in")
	}
}

// A role with nothing private to say ends such connections, also where only fronts may come.
func TestNothingPrivate(t *testing.T) {
	key := newKey(t)
	if _, err := key.DialPrivate(t.Context(), startRole(t, key, "127.0.0.1:0").addr, key); err == nil {
		t.Error("it is taken")
	}
	if _, err := key.DialPrivate(t.Context(), startOnly(t, &Door{Key: key, Log: discard()}), key); err == nil {
		t.Error("it is taken")
	}
	door := &Door{
		Key: key, PrivateKey: key, Log: discard(), Private: func(_ context.Context, conn net.Conn) { io.Copy(conn, conn) },
	}
	conn, err := key.DialPrivate(t.Context(), startOnly(t, door), key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hi")
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		t.Error(err)
	}
}

// startOnly starts a server for fronts alone.
func startOnly(t *testing.T, door *Door) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	only := door.Only(l)
	go func() {
		for {
			conn, err := only.Accept()
			if err != nil {
				return
			}
			go func() {
				conn.Read(make([]byte, 1))
				conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// Who has listened learns nothing that opens the door.
func TestReplay(t *testing.T) {
	key := newKey(t)
	secret, _ := key.read()
	r := startRole(t, key, "127.0.0.1:0")
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	heard := &listener{Conn: conn}
	if err := introduce(heard, secret, requests); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if bytes.Contains(heard.sent.Bytes(), secret[:10]) {
		t.Error("the key is sent")
	}
	if conn, err = net.Dial("tcp", r.addr); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(heard.sent.Bytes())
	answer, _ := io.ReadAll(conn)
	if len(answer) != 64 { // only the role's own part
		t.Errorf("%q", answer)
	}
}

// A connection that sends nothing, or nonsense, does not stay. [Door.Only] leaves that to the
// server's deadlines.
func TestSilence(t *testing.T) {
	key := newKey(t)
	for name, sent := range map[string]string{
		"nothing": "", "half": magic, "nonsense": string(make([]byte, 100)),
		"another purpose": magic + "x" + string(make([]byte, 32)),
	} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			defer here.Close()
			go io.WriteString(here, sent)
			go io.Copy(io.Discard, here)
			door := &Door{Key: key, Log: discard()}
			began := time.Now()
			if door.Greet(t.Context(), there) {
				t.Errorf("%s: admitted", name)
			}
			if took := time.Since(began); took > greetTime {
				t.Errorf("%s: it took %v", name, took)
			}
			there.Close()
		})
	}
}

// table is what a follower knows.
type table struct {
	mu           sync.Mutex
	values, disk map[string]string
}

func (tb *table) String() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return fmt.Sprint(tb.values)
}

func (tb *table) saved() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return fmt.Sprint(tb.disk)
}

// startFollower follows the role at addr until the test ends.
func startFollower(t *testing.T, key Key, addr string, known map[string]json.RawMessage) *table {
	tb, says := &table{values: map[string]string{}}, &Publisher{}
	says.Set("port", 80)
	f := &Follower{
		Key: key, Addr: func() (string, error) { return addr, nil }, Says: says, Known: known, Log: discard(),
		Set: func(name string, value json.RawMessage) {
			tb.mu.Lock()
			defer tb.mu.Unlock()
			tb.values[name] = string(value)
		},
		Remove: func(name string) {
			tb.mu.Lock()
			defer tb.mu.Unlock()
			delete(tb.values, name)
		},
		Save: func(all map[string]json.RawMessage) {
			tb.mu.Lock()
			defer tb.mu.Unlock()
			tb.disk = map[string]string{}
			for name, value := range all {
				tb.disk[name] = string(value)
			}
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return tb
}

// A follower gets all, then each change. What it knows holds while the role is away, and is corrected
// when it is back.
func TestFollow(t *testing.T) {
	key := newKey(t)
	r := startRole(t, key, "127.0.0.1:0")
	said := make(chan string, 10)
	r.door.Publisher.Hear = func(name string, value json.RawMessage) { said <- name + string(value) }
	r.door.Publisher.Set("a", 1)
	tb := startFollower(t, key, r.addr, map[string]json.RawMessage{"old": json.RawMessage("0")})
	want := func(what string) {
		t.Helper()
		rig.Eventually(t, what, func() bool { return tb.String() == what })
	}
	want("map[a:1]")
	if got := <-said; got != "port80" {
		t.Error(got)
	}
	r.door.Publisher.Set("b", 2)
	want("map[a:1 b:2]")
	r.door.Publisher.Set("a", 3)
	r.door.Publisher.Remove("b")
	want("map[a:3]")
	rig.Eventually(t, "they are saved", func() bool { return tb.saved() == "map[a:3]" })

	r.stop()
	want("map[a:3]")
	r = startRole(t, key, r.addr)
	r.door.Publisher.Set("c", 4)
	want("map[c:4]")
}

// A role that hangs is known not to be alive, until it answers again. One that ends in good order is not
// taken for that.
func TestAlive(t *testing.T) {
	key := newKey(t)
	r := startRole(t, key, "127.0.0.1:0")
	synced := make(chan struct{}, 1)
	f := &Follower{
		Key: key, Says: &Publisher{}, Log: discard(),
		Save: func(map[string]json.RawMessage) { synced <- struct{}{} },
	}
	f.Known = map[string]json.RawMessage{}
	f.Addr = func() (string, error) { return r.addr, nil }
	ended := make(chan error)
	follow := func() {
		_, err := f.follow(t.Context())
		ended <- err
	}
	go follow()
	<-synced
	r.stop()
	if <-ended; !f.Alive() {
		t.Error("it has ended in good order")
	}
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	go func() {
		conn, err := hangs.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		secret, _ := key.read()
		admit(conn, secret)
		io.Copy(io.Discard, conn)
	}()
	f.Addr = func() (string, error) { return hangs.Addr().String(), nil }
	f.silent = 10 * time.Millisecond
	go follow()
	if <-ended; f.Alive() {
		t.Error("it hangs")
	}
	r, f.silent = startRole(t, key, "127.0.0.1:0"), 0
	f.Addr = func() (string, error) { return r.addr, nil }
	go follow()
	if <-synced; !f.Alive() {
		t.Error("it answers again")
	}
	r.stop()
	<-ended
}

// Messages of a front come once each and in order, also those that waited for the role. What waits is
// bounded.
func TestTell(t *testing.T) {
	key := newKey(t)
	says, heard := &Publisher{}, make(chan string, 10)
	fits := 0
	for text := string(bytes.Repeat([]byte("x"), 1000)); says.Tell("long", text); fits++ {
	}
	if kept := fits * 1002; kept > maxTold || kept < maxTold-1002 {
		t.Errorf("%d bytes wait", kept)
	}
	r := startRole(t, key, "127.0.0.1:0")
	r.door.Publisher.Hear = func(name string, value json.RawMessage) {
		if name != "long" {
			heard <- name + string(value)
			return
		}
		if fits--; fits == 0 {
			heard <- "all"
		}
	}
	f := &Follower{Key: key, Addr: func() (string, error) { return r.addr, nil }, Says: says, Log: discard(),
		Save: func(map[string]json.RawMessage) {},
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	defer func() { stop(); <-ended }()
	if got := <-heard; got != "all" {
		t.Error(got)
	}
	for n := range 3 {
		says.Tell("b", n)
	}
	for n := range 3 {
		if got := <-heard; got != fmt.Sprintf("b%d", n) {
			t.Error(got)
		}
	}
}

// Many fronts follow one server.
func TestFollowers(t *testing.T) {
	key := newKey(t)
	r := startRole(t, key, "127.0.0.1:0")
	var tables []*table
	for range 5 {
		tables = append(tables, startFollower(t, key, r.addr, nil))
	}
	for n := range 100 {
		r.door.Publisher.Set("a", n)
	}
	for _, tb := range tables {
		rig.Eventually(t, "the last value", func() bool { return tb.String() == "map[a:99]" })
	}
}

// A follower that hangs is put out, and delays nobody meanwhile.
func TestHungFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Publisher{}
		p.Set("a", 1)
		here, there := net.Pipe()
		defer here.Close()
		began, ended := time.Now(), make(chan time.Duration)
		go func() {
			p.serve(t.Context(), there)
			there.Close()
			ended <- time.Since(began)
		}()
		synctest.Wait()
		for n := range 1000 {
			p.Set(fmt.Sprint(n), n)
		}
		if took := <-ended; took != deadAfter {
			t.Errorf("after %v", took)
		}
		if len(p.followers) > 0 {
			t.Error("it is still there")
		}
	})
}

// A role that hangs is noticed, and one that has nothing to say is not taken for that.
func TestHungRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		ctx, hang := context.WithTimeout(t.Context(), time.Hour)
		defer hang()
		go send(ctx, there, nil, func() []message { return nil })
		began := time.Now()
		if err := receive(t.Context(), here, deadAfter, func(message) {}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+deadAfter {
			t.Errorf("after %v", took)
		}
	})
}

// A listener for fronts alone gives others nothing.
func TestOnly(t *testing.T) {
	key := newKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	only := (&Door{Key: key, Log: discard()}).Only(l)
	defer only.Close()
	go func() {
		for {
			conn, err := only.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	addr := l.Addr().String()
	conn, err := key.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	conn.Close()
	other := Key{Dir: filepath.Join(t.TempDir())}
	if err := other.Make(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Dial(t.Context(), addr); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	if conn, err = net.Dial("tcp", addr); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"+string(make([]byte, 100)))
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// What moved from one name to another is never missing at the other end.
func TestMoved(t *testing.T) {
	p := &Publisher{}
	p.Set("a", 1)
	f := &follower{changed: map[string]bool{}}
	p.followers = map[*follower]bool{f: true}
	p.Set("z", 1)
	p.Remove("a")
	list := p.take(f)
	if len(list) != 3 || list[0].Name != "z" || list[1].Name != "a" || !list[2].All {
		t.Errorf("%v", list)
	}
}
