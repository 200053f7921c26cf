package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
)

// serve serves e until the test ends, and returns the other end. ended tells why it was no longer
// served.
func serve(t testing.TB, e engine.Engine) (there *net.UnixConn, ended <-chan error) {
	here, there := rig.Sockets(t)
	why := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { why <- Serve(here, e, slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() {
		there.Close()
		serving.Wait()
	})
	return there, why
}

// builder is the part of a memory engine that builds.
type builder struct{ *enginetest.Memory }

func (builder) Close() error { return nil }

// connect returns a client of m that is not open yet.
func connect(t testing.TB, m *enginetest.Memory) *Client {
	there, _ := serve(t, m)
	return &Client{Socket: there, Builder: builder{m}}
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

func TestSuite(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Suite {
		m := &enginetest.Memory{}
		m.Make = m.RunBuild
		t.Cleanup(func() { m.Close() })
		return enginetest.Suite{
			Engine: connect(t, m), Next: func() engine.Engine { return connect(t, m) },
			Image: engine.Image{App: "blog", Build: "b"}, Serve: shell("sleep 1000"),
			NoTerminal: true, NoMemoryLimit: true,
		}
	})
}

// unit is a unit of one process that runs a script.
func unit(script string) engine.Unit {
	return engine.Unit{
		Name: engine.UnitName{App: "blog", Release: 1, Type: "worker"}, Indexes: []int{1}, Argv: shell(script), Stable: time.Minute,
	}
}

// open returns an open client of m, which is closed when the test ends.
func open(t testing.TB, m *enginetest.Memory) *Client {
	t.Helper()
	c := connect(t, m)
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func awaitState(t testing.TB, e engine.Engine, want engine.State) {
	t.Helper()
	rig.Eventually(t, "it is "+string(want), func() bool {
		places, err := e.Places(t.Context(), "blog")
		return err == nil && len(places) == 1 && places[0].State == want
	})
}

// A client that sends nonsense loses its connection. Others do not notice.
func TestHostile(t *testing.T) {
	m := &enginetest.Memory{}
	defer m.Close()
	other := open(t, m)
	if err := other.Want(t.Context(), unit("sleep 1000")); err != nil {
		t.Fatal(err)
	}
	hello := request{ID: 1, Call: callHello}
	for what, attack := range map[string]func(c *conn){
		"text":                func(c *conn) { c.socket.Write([]byte("GET / HTTP/1.1\r\n\r\n")) },
		"a huge frame":        func(c *conn) { c.socket.Write([]byte{255, 255, 255, 255, 0}) },
		"an empty frame":      func(c *conn) { c.socket.Write([]byte{0, 0, 0, 0, 0}) },
		"no gob":              func(c *conn) { c.socket.Write([]byte{0, 0, 0, 3, 0, 1, 2, 3}) },
		"no greeting":         func(c *conn) { c.send(&request{ID: 1, Call: callUnits}) },
		"missing descriptors": func(c *conn) { c.send(&hello); c.socket.Write([]byte{0, 0, 0, 1, 1, 0}) },
		"descriptors":         func(c *conn) { c.send(&hello); c.send(&request{ID: 2, Call: callUnits}, os.Stdin) },
		"the same request twice": func(c *conn) {
			c.send(&hello)
			c.send(&request{ID: 2, Call: callWatch})
			c.send(&request{ID: 2, Call: callWatch})
		},
	} {
		there, ended := serve(t, m)
		c := newConn(there, false)
		go io.Copy(io.Discard, there)
		attack(c)
		if err := <-ended; err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	awaitState(t, other, engine.Running)
}

// A request with odd values gets an error, and the connection goes on.
func TestOddValues(t *testing.T) {
	c := open(t, &enginetest.Memory{})
	nameless := unit("x")
	nameless.Name.Type = "../../x"
	long := unit("x")
	long.Env = map[string]string{"LONG": strings.Repeat("x", maxFrame)}
	for what, err := range map[string]error{
		"unit without a command": c.Want(t.Context(), engine.Unit{Name: unit("").Name}),
		"type with a path":       c.Want(t.Context(), nameless),
		"too large":              c.Want(t.Context(), long),
		"negative grace":         c.Drop(t.Context(), unit("").Name, -1),
		"port":                   second(c.Dial(t.Context(), engine.Place{}, 1<<20)),
		"job without a command":  second(c.Start(t.Context(), engine.Job{App: "blog", Type: "run", Out: io.Discard})),
		"unknown call":           second(c.ask(t.Context(), request{Call: "dance"})),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := c.Units(t.Context()); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// A client that asks for too much at once is refused what is too much.
func TestTooManyRequests(t *testing.T) {
	c := open(t, &enginetest.Memory{})
	for range maxTasks {
		if _, err := c.post(request{Call: callWatch}, func(message) {}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Units(t.Context()); rig.Message(err) != errTooMany.Error() {
		t.Error(err)
	}
}

// A panic of the engine ends the connection, and nothing else.
func TestPanic(t *testing.T) {
	m := &enginetest.Memory{Refuse: func(engine.Unit) error { panic("oh") }}
	c := open(t, m)
	if err := c.Want(t.Context(), unit("x")); err == nil {
		t.Error("no error")
	}
	if _, err := open(t, m).Units(t.Context()); err != nil {
		t.Error(err)
	}
}

// Strings need not be text.
func TestBytes(t *testing.T) {
	argv := make(chan []string, 1)
	m := &enginetest.Memory{Begin: func(p *enginetest.Process) error {
		argv <- append(p.Argv, p.Env["X"])
		return nil
	}}
	defer m.Close()
	c := open(t, m)
	want := []string{"\xff\x00", "", "a b"}
	if _, err := c.Start(t.Context(), engine.Job{
		App: "blog", Type: "run", Argv: want[:2], Env: map[string]string{"X": want[2]}, Out: io.Discard,
	}); err != nil {
		t.Fatal(err)
	}
	if got := <-argv; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A client that reads nothing delays neither the engine nor other clients, and what it has started
// can be stopped.
func TestDeafClient(t *testing.T) {
	m := &enginetest.Memory{Begin: func(p *enginetest.Process) error {
		if p.Type == "run" {
			go func() {
				for !p.Ended() {
					p.Out.Write(make([]byte, 64<<10))
				}
			}()
		}
		return nil
	}}
	defer m.Close()
	there, ended := serve(t, m)
	deaf := newConn(there, false)
	deaf.send(&request{ID: 1, Call: callHello})
	for id := range uint64(20) {
		deaf.send(&request{ID: 2 + id, Call: callWatch})
	}
	deaf.send(&request{ID: 100, Call: callStart, Job: engine.Job{App: "blog", Type: "run", Argv: shell("")}})
	rig.Eventually(t, "the job runs", func() bool { return len(m.Processes()) == 1 })
	job := m.Processes()[0]
	other := open(t, m)
	for i := range 1000 {
		u := unit("x")
		u.Name.App = fmt.Sprint("app", i%20)
		if err := other.Want(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if err := other.Drop(t.Context(), u.Name, 0); err != nil {
			t.Fatal(err)
		}
	}
	there.CloseRead() // it still does not read
	there.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !job.Ended() {
		t.Error("its job goes on")
	}
}

// When a client is gone, its jobs are stopped and its units go on.
func TestClientIsKilled(t *testing.T) {
	m := &enginetest.Memory{}
	defer m.Close()
	c := open(t, m)
	if err := c.Want(t.Context(), unit("sleep 1000")); err != nil {
		t.Fatal(err)
	}
	awaitState(t, c, engine.Running)
	p, err := c.Start(t.Context(), engine.Job{App: "blog", Type: "run", Argv: shell("sleep 1000"), Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	c.Socket.Close()
	<-p.Done()
	if exit := p.Exit(); exit.OK() || exit.Reason == "" {
		t.Errorf("%+v", exit)
	}
	all := m.Processes()
	rig.Eventually(t, "the job has ended", all[1].Ended)
	if all[0].Ended() {
		t.Error("the unit has ended")
	}
	awaitState(t, open(t, m), engine.Running)
}

// Standard input that is cut off by the end of the client does not end normally.
func TestHalfInput(t *testing.T) {
	read := make(chan error, 2)
	m := &enginetest.Memory{Begin: func(p *enginetest.Process) error {
		go func() {
			text, err := io.ReadAll(p.In)
			if string(text) != "half" {
				err = fmt.Errorf("read %q", text)
			}
			read <- err
			p.End(engine.Exit{})
		}()
		return nil
	}}
	defer m.Close()
	c := open(t, m)
	job := engine.Job{App: "blog", Type: "run", Argv: shell(""), Out: io.Discard, In: strings.NewReader("half")}
	p, err := c.Start(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Errorf("the whole: %v", err)
	}
	<-p.Done()
	in, feed := io.Pipe()
	job.In = in
	if _, err = c.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	io.WriteString(feed, "half")
	there := c.Socket
	feed.CloseWithError(io.ErrUnexpectedEOF) // as when the person is gone
	there.Close()
	if err := <-read; err == nil {
		t.Error("half an input ended as the whole does")
	}
}

// FuzzServe checks that nothing that a client sends harms the engine.
func FuzzServe(f *testing.F) {
	var c conn
	c.encoder = gob.NewEncoder(&c.out)
	for _, r := range []request{
		{ID: 1, Call: callHello}, {ID: 2, Call: callWant, Unit: unit("exit 1")}, {ID: 3, Call: callPlaces, App: "blog"},
		{ID: 4, Call: callStart, Job: engine.Job{App: "blog", Type: "run", Argv: shell("exit 0")}, In: true, Err: true},
		{ID: 5, Call: callSignal, Of: 4, Number: 9}, {ID: 6, Call: callStop, Of: 4}, {ID: 7, Call: callClose},
	} {
		before := c.out.Len()
		c.out.Write(make([]byte, 5))
		c.encoder.Encode(&r)
		binary.BigEndian.PutUint32(c.out.Bytes()[before:], uint32(c.out.Len()-before-5))
	}
	f.Add(bytes.Clone(c.out.Bytes()))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &enginetest.Memory{}
		defer m.Close()
		there, ended := serve(t, m)
		go io.Copy(io.Discard, there)
		there.Write(in)
		there.CloseWrite()
		<-ended
		if _, err := m.Units(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
