package sidecar

import (
	"context"
	"sync"
	"time"

	"paas/pause"
)

// outages are the hosts that take no connections, by address (host:port). One goroutine probes each
// of them, however many sources it has, and tells them once it answers. A probe only connects, so
// it is much cheaper than a poll, and can come more often.
type outages struct {
	reach func(ctx context.Context, host string) error
	mu    sync.Mutex
	hosts map[string]*outage
}

// outage is the time in which a host does not answer.
type outage struct {
	all     *outages
	host    string
	stop    context.CancelFunc
	ended   chan struct{} // closed when probing has ended
	over    chan struct{} // closed when the host answers again
	waiting int           // sources; guarded by all.mu, like told
	told    int           // sources that know that it is over
}

const (
	minProbe = time.Second
	maxProbe = 30 * time.Second
	spread   = 50 * time.Millisecond // between the polls of two sources when their host is back
)

// probePause is how long to wait for the next probe of a host that has been down for so long: a
// twentieth of that, at least 1 s and at most 30 s, give or take a tenth.
func probePause(down time.Duration, dice float64) time.Duration {
	return jittered(min(max(down/20, minProbe), maxProbe), dice)
}

// join begins to wait for host, which has been down since. Call leave at the end.
func (all *outages) join(ctx context.Context, host string, since time.Time) *outage {
	all.mu.Lock()
	defer all.mu.Unlock()
	o := all.hosts[host]
	if o == nil {
		o = &outage{all: all, host: host, ended: make(chan struct{}), over: make(chan struct{})}
		// it may outlive the first source
		ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))
		if all.hosts == nil {
			all.hosts = map[string]*outage{}
		}
		all.hosts[host] = o
		go o.probe(ctx, since)
	}
	o.waiting++
	return o
}

// probe tries to connect until the host answers or nobody waits for it.
func (o *outage) probe(ctx context.Context, since time.Time) {
	defer close(o.ended)
	for {
		if pause.For(ctx, probePause(time.Since(since), roll()), nil) != nil {
			return
		}
		if o.all.reach(ctx, o.host) == nil {
			break
		}
	}
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	if o.all.hosts[o.host] == o {
		delete(o.all.hosts, o.host)
	}
	close(o.over)
}

// isOver is closed when the host answers again. It is nil for no outage.
func (o *outage) isOver() <-chan struct{} {
	if o == nil {
		return nil
	}
	return o.over
}

// turn is how long to wait with the poll after an outage: nothing for the first source of the host,
// and a little longer for each next one.
func (o *outage) turn() time.Duration {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	o.told++
	return time.Duration(o.told-1) * spread
}

// leave ends the waiting. The last source to leave also stops the probing, and waits until it has
// stopped.
func (o *outage) leave() {
	if o == nil {
		return
	}
	o.all.mu.Lock()
	o.waiting--
	last := o.waiting == 0
	if last && o.all.hosts[o.host] == o {
		delete(o.all.hosts, o.host)
	}
	o.all.mu.Unlock()
	if last {
		o.stop()
		<-o.ended
	}
}
