package runtime

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// backends are the processes that get traffic, by app and address. The zero value is ready.
type backends struct {
	mu    sync.Mutex
	dials map[backend]func(context.Context) (net.Conn, error)
}

type backend struct{ app, addr string }

func (b *backends) add(app, addr string, dial func(context.Context) (net.Conn, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dials == nil {
		b.dials = map[backend]func(context.Context) (net.Conn, error){}
	}
	b.dials[backend{app, addr}] = dial
}

func (b *backends) remove(app, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.dials, backend{app, addr})
}

// Dial connects to a process of the app by an address that [Front.Route] was given. It returns an
// error if the process has ended or another program listens there. It blocks until it is connected
// or ctx ends.
func (rt *Runtime) Dial(ctx context.Context, app, addr string) (net.Conn, error) {
	rt.backends.mu.Lock()
	dial := rt.backends.dials[backend{app, addr}]
	rt.backends.mu.Unlock()
	if dial == nil {
		return nil, fmt.Errorf("%s: the process there has ended", addr)
	}
	return dial(ctx)
}
