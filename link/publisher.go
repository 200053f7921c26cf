package link

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// message is one line of a stream.
type message struct {
	Name  string          `json:"name,omitempty"`  // of a value
	Value json.RawMessage `json:"value,omitempty"` // nil: it was removed
	All   bool            `json:"all,omitempty"`   // the other end has every value now
}

// An end that sends nothing for deadAfter is taken for dead.
const (
	beat      = 4 * time.Second
	deadAfter = 3 * beat
)

// maxTold is how many bytes of messages may wait for the other end.
const maxTold = 256 << 10

// Publisher has values that the other end of each connection follows. Its methods do not wait for
// others.
type Publisher struct {
	// Hear is called for each value that a front publishes, and for each message that it tells; nil: the
	// value was removed. It may be called concurrently for several fronts.
	Hear func(name string, value json.RawMessage)

	mu        sync.Mutex
	values    map[string]json.RawMessage
	followers map[*follower]bool
	told      []message // that wait, as JSON of toldBytes
	toldBytes int
}

// follower is the other end of a connection.
type follower struct {
	changed map[string]bool // names of values to send; guarded by Publisher.mu
	more    chan struct{}   // has a value if there are some
}

// Set publishes value under name. It must be possible to send it as JSON.
func (p *Publisher) Set(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the caller's type is wrong
	}
	p.change(name, text)
}

// Remove unpublishes the value.
func (p *Publisher) Remove(name string) { p.change(name, nil) }

// Tell sends a message once, to the next other end that reads. Up to 256 KiB wait while there is none.
// It returns false if there is no room for another. What is on its way when a connection breaks is
// lost. It must be possible to send value as JSON.
func (p *Publisher) Tell(name string, value any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the caller's type is wrong
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.toldBytes+len(text) > maxTold {
		return false
	}
	p.told, p.toldBytes = append(p.told, message{Name: name, Value: text}), p.toldBytes+len(text)
	for f := range p.followers {
		f.wake()
	}
	return true
}

func (p *Publisher) change(name string, value json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Equal(p.values[name], value) {
		return
	}
	if p.values == nil {
		p.values = map[string]json.RawMessage{}
	}
	if p.values[name] = value; value == nil {
		delete(p.values, name)
	}
	for f := range p.followers {
		f.changed[name] = true
		f.wake()
	}
}

// wake makes that f is sent what there is.
func (f *follower) wake() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// serve sends the values to a front until it leaves or hangs, or ctx ends.
func (p *Publisher) serve(ctx context.Context, conn net.Conn) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer stop()
		receive(ctx, conn, deadAfter, func(m message) {
			if m.Name != "" && p.Hear != nil {
				p.Hear(m.Name, m.Value)
			}
		})
	}()
	defer func() { <-heard }()
	defer stop()
	p.feed(ctx, conn)
}

// feed sends the values until the other end does not read, or ctx ends.
func (p *Publisher) feed(ctx context.Context, conn net.Conn) {
	p.mu.Lock()
	f := &follower{changed: map[string]bool{}, more: make(chan struct{}, 1)}
	for name := range p.values {
		f.changed[name] = true
	}
	if p.followers == nil {
		p.followers = map[*follower]bool{}
	}
	p.followers[f] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.followers, f)
	}()
	send(ctx, conn, f.more, func() []message { return p.take(f) })
}

// take returns what f must be sent: first what is new, and then what was removed, so that what moved
// is not missing in between. Messages come last.
func (p *Publisher) take(f *follower) (list []message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var gone []message
	for name := range f.changed {
		if value := p.values[name]; value != nil {
			list = append(list, message{Name: name, Value: value})
		} else {
			gone = append(gone, message{Name: name})
		}
	}
	clear(f.changed)
	list = append(append(append(list, gone...), message{All: true}), p.told...)
	p.told, p.toldBytes = nil, 0
	return list
}

// send sends what take returns, at once and after each value of more, and something each beat. It
// returns when the other end does not read, or ctx ends.
func send(ctx context.Context, conn net.Conn, more <-chan struct{}, take func() []message) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	list := take()
	for {
		for _, m := range list {
			line, _ := json.Marshal(m) // of values that are JSON already
			conn.SetWriteDeadline(time.Now().Add(deadAfter))
			if ctx.Err() != nil {
				return
			}
			if _, err := conn.Write(append(line, '\n')); err != nil {
				return
			}
		}
		select {
		case <-more:
			list = take()
		case <-ticker.C:
			list = []message{{}}
		case <-ctx.Done():
			return
		}
	}
}

// receive calls take for each message until the other end leaves, or is silent for that long, or ctx
// ends.
func receive(ctx context.Context, conn net.Conn, silent time.Duration, take func(message)) error {
	in := json.NewDecoder(conn)
	for {
		conn.SetReadDeadline(time.Now().Add(silent))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var m message
		if err := in.Decode(&m); err != nil {
			return err
		}
		take(m)
	}
}
