package sidecar

import (
	"context"
	"sync"
	"time"

	"paas/pause"
)

// outages are the hosts that no connection can be made to, by address (host:port). Each is probed by
// one goroutine, however many sources it has, which are told once it answers. A probe is a bare
// connection, far cheaper than a look, so it can come more often.
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
	waiting int           // sources; guarded by all.mu, as is told
	told    int           // sources that have been told that it is over
}

const (
	minProbe = time.Second
	maxProbe = 30 * time.Second
	spread   = 50 * time.Millisecond // between the looks of two sources when their host is back
)

// probePause is how long to wait for the next probe of a host that has been away for down: a
// twentieth of that, at least a second and at most 30 s, a tenth more or less.
func probePause(down time.Duration, dice float64) time.Duration {
	return jittered(min(max(down/20, minProbe), maxProbe), dice)
}

// join begins to wait for host, which has been away since. The caller leaves in the end.
func (all *outages) join(ctx context.Context, host string, since time.Time) *outage {
	all.mu.Lock()
	defer all.mu.Unlock()
	o := all.hosts[host]
	if o == nil {
		o = &outage{all: all, host: host, ended: make(chan struct{}), over: make(chan struct{})}
		ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx)) // it may outlive the first source
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

// isOver is closed when the host answers again; nil, of which nothing comes, for no outage.
func (o *outage) isOver() <-chan struct{} {
	if o == nil {
		return nil
	}
	return o.over
}

// turn is how long to wait with the look after an outage: nothing for the first source of the host,
// and a little more for each other.
func (o *outage) turn() time.Duration {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	o.told++
	return time.Duration(o.told-1) * spread
}

// leave ends the waiting. The last source to leave ends the probing, and waits for that.
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
