package link

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"sync/atomic"
	"time"

	"paas/pause"
)

// Follower follows what a role publishes. All fields but Known must be set.
type Follower struct {
	Key  Key
	Addr func() (string, error) // host:port of the role; called for each connection
	Says *Publisher             // what the role is told

	// Known are the values of an earlier run, which the caller has set: they hold until the role says
	// otherwise.
	Known map[string]json.RawMessage
	// Set and Remove are called for each change, and Save with all values after some changes, and whenever
	// a connection has brought all.
	Set    func(name string, value json.RawMessage)
	Remove func(name string)
	Save   func(map[string]json.RawMessage)

	Log *slog.Logger

	hung   atomic.Bool
	silent time.Duration // as deadAfter, in tests; 0: deadAfter
}

// Alive reports whether the role answers. It does not if it was silent for twelve seconds on a
// connection that was open; then it does once there is another one. A role that ended in good order,
// or was not reached yet, may still finish what it does.
func (f *Follower) Alive() bool { return !f.hung.Load() }

// Pauses between attempts to connect, doubling from the first to the last.
const (
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// Run follows until ctx ends, and connects again whenever the connection is lost. Meanwhile what is
// known holds.
func (f *Follower) Run(ctx context.Context) error {
	if f.Known == nil {
		f.Known = map[string]json.RawMessage{}
	}
	wait, away := minPause, false
	for {
		synced, err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if synced {
			wait, away = minPause, false
		}
		if !away {
			away = true
			f.Log.Warn("the server is away; what is known of it holds", "err", err)
		}
		if pause.For(ctx, wait, nil) != nil {
			return nil
		}
		wait = min(2*wait, maxPause)
	}
}

// follow follows on one connection. synced is true if it has brought all values.
func (f *Follower) follow(ctx context.Context) (synced bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	addr, err := f.Addr()
	if err != nil {
		return false, err
	}
	dialing, cancel := context.WithTimeout(ctx, greetTime)
	conn, err := f.Key.dial(dialing, addr, follow)
	cancel()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	go f.Says.feed(ctx, conn)
	seen, changed := map[string]bool{}, true
	err = receive(ctx, conn, cmp.Or(f.silent, deadAfter), func(m message) {
		switch {
		case m.All:
			if !synced {
				synced = true
				f.hung.Store(false)
				f.Log.Info("following the server", "addr", conn.RemoteAddr(), "values", len(seen))
				for name := range maps.Clone(f.Known) {
					if !seen[name] {
						changed = true
						delete(f.Known, name)
						f.Remove(name)
					}
				}
				seen = nil
			}
			if changed {
				f.Save(f.Known)
			}
			changed = false
		case m.Name == "":
		case m.Value == nil:
			changed = true
			delete(f.Known, m.Name)
			f.Remove(m.Name)
		default:
			if !synced {
				seen[m.Name] = true
			}
			if string(f.Known[m.Name]) != string(m.Value) {
				changed = true
				f.Known[m.Name] = m.Value
				f.Set(m.Name, m.Value)
			}
		}
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.hung.Store(true)
	}
	return synced, err
}
