package certs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// Request asks a keeper in another process to serve a certificate that an owner brings, or not to
// serve it any more.
type Request struct {
	Owner string `json:"owner"`
	PEM   string `json:"pem,omitempty"` // the certificate and its key; empty: remove what there is
}

// response answers a [Request].
type response struct {
	Error   string `json:"error,omitempty"`
	Removed bool   `json:"removed,omitempty"`
	Nobody  bool   `json:"nobody,omitempty"` // there is no keeper
}

const (
	maxRequest = 1 << 20 // bytes
	askTimeout = 10 * time.Second
	// How often a keeper that nobody asks hears something, so that each end notices when the other one
	// hangs.
	beat = 15 * time.Second
)

// ErrNobody means that no keeper was reached.
var ErrNobody = errors.New("no role that keeps certificates is connected")

// do answers a request.
func (k *Keeper) do(r Request) (answer response) {
	var err error
	switch {
	case r.Owner == "":
	case r.PEM != "":
		err = k.SetOwn(r.Owner, []byte(r.PEM))
	default:
		answer.Removed, err = k.RemoveOwn(r.Owner)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// Serve answers requests until the listener closes. Only who may ask may connect to it.
func (k *Keeper) Serve(l net.Listener) error { return serve(l, k.do) }

func serve(l net.Listener, do func(Request) response) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(askTimeout))
			var r Request
			if json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&r) != nil {
				return // no client of ours
			}
			json.NewEncoder(conn).Encode(do(r))
		}()
	}
}

// Answer answers the requests that come over a connection to [Keepers], until it closes or hangs, or
// ctx ends.
func (k *Keeper) Answer(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := json.NewDecoder(conn)
	for {
		conn.SetDeadline(time.Now().Add(3 * beat))
		var r Request
		if err := in.Decode(&r); err != nil {
			return err
		}
		if err := json.NewEncoder(conn).Encode(k.do(r)); err != nil {
			return err
		}
	}
}

// Keepers hands requests to all keepers that have connected to this process.
type Keepers struct {
	mu  sync.Mutex
	all map[*connected]bool
}

// connected is a keeper that has connected.
type connected struct {
	asked chan question
	gone  chan struct{}
}

type question struct {
	Request
	answer chan<- response // with room for one
}

// Connect hands requests to the keeper at the other end of conn, until that leaves or hangs, or ctx
// ends.
func (ks *Keepers) Connect(ctx context.Context, conn net.Conn) {
	c := &connected{asked: make(chan question), gone: make(chan struct{})}
	ks.mu.Lock()
	if ks.all == nil {
		ks.all = map[*connected]bool{}
	}
	ks.all[c] = true
	ks.mu.Unlock()
	defer func() {
		ks.mu.Lock()
		defer ks.mu.Unlock()
		delete(ks.all, c)
		close(c.gone)
	}()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in, ticker := json.NewDecoder(conn), time.NewTicker(beat)
	defer ticker.Stop()
	for {
		var q question
		select {
		case q = <-c.asked:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		conn.SetDeadline(time.Now().Add(askTimeout / 2))
		var answer response
		if json.NewEncoder(conn).Encode(q.Request) != nil || in.Decode(&answer) != nil {
			return
		}
		if q.answer != nil {
			q.answer <- answer
		}
	}
}

// Serve answers requests with what the connected keepers answer, until the listener closes. Only who
// may ask may connect to it.
func (ks *Keepers) Serve(l net.Listener) error { return serve(l, ks.do) }

func (ks *Keepers) do(r Request) (all response) {
	ks.mu.Lock()
	now := slices.Collect(maps.Keys(ks.all))
	ks.mu.Unlock()
	answers := make(chan response, len(now))
	var asking sync.WaitGroup
	for _, c := range now {
		asking.Go(func() {
			answer := make(chan response, 1)
			select {
			case c.asked <- question{r, answer}:
			case <-c.gone:
				return
			}
			select {
			case one := <-answer:
				answers <- one
			case <-c.gone: // it has left or hangs, perhaps just after its answer
				select {
				case one := <-answer:
					answers <- one
				default:
				}
			}
		})
	}
	asking.Wait()
	close(answers)
	all.Nobody = len(answers) == 0
	for one := range answers {
		all.Error = cmp.Or(all.Error, one.Error)
		all.Removed = all.Removed || one.Removed
	}
	return all
}

// Ask sends a request over conn, which it closes. The error is ErrNobody if no keeper has got it. It
// blocks for 10 s at most.
func Ask(ctx context.Context, conn net.Conn, r Request) (removed bool, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(askTimeout))
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return false, err
	}
	var answer response
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return false, err
	}
	if answer.Nobody {
		return false, ErrNobody
	}
	if answer.Error != "" {
		return false, errors.New(answer.Error)
	}
	return answer.Removed, nil
}
