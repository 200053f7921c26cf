package router

import (
	"math/rand/v2"
	"slices"
	"time"
)

// backends is the set of processes that an app's requests go to. A set is replaced, never changed.
type backends []*backend

// Costs that outweigh any number of requests in flight.
const (
	costAvoided  = 1 << 40 // it just closed an idle connection that this request tried to use
	costRefusing = 1 << 50 // it refuses connections; the earliest to refuse is tried first
)

// choose returns the backend with the fewest requests in flight, at random among equals. A backend
// that refuses connections has none in flight and would attract every request, so for a while it
// comes after all others; so does avoid, which may be nil. choose returns nil for an empty set.
func (s backends) choose(avoid *backend) (best *backend) {
	switch len(s) {
	case 0:
		return nil
	case 1:
		return s[0]
	}
	least := int64(0)
	for k, first := 0, rand.IntN(len(s)); k < len(s); k++ {
		b := s[(first+k)%len(s)]
		cost := b.inFlight.Load()
		if b == avoid {
			cost += costAvoided
		}
		if at := b.pool.refusedSince(); at > 0 {
			cost = costRefusing + at
		}
		if best == nil || cost < least {
			best, least = b, cost
		}
	}
	return best
}

// withAddrs returns the set for addrs, reusing the backends of s, and the backends of s that are
// not in it.
func (s backends) withAddrs(addrs []string) (next, removed backends) {
	for _, b := range s {
		if slices.Contains(addrs, b.addr) {
			next = append(next, b)
		} else {
			removed = append(removed, b)
		}
	}
	for _, addr := range addrs {
		if addr != "" && !next.has(addr) {
			next = append(next, newBackend(addr))
		}
	}
	return next, removed
}

func (s backends) has(addr string) bool {
	return slices.ContainsFunc(s, func(b *backend) bool { return b.addr == addr })
}

// avoidFor is how long a backend that refused a connection comes after all others.
const avoidFor = time.Second

// refusedSince returns the [monotonic] time at which the backend refused a connection, or 0 if it
// accepts connections or that was more than avoidFor ago.
func (p *connPool) refusedSince() int64 {
	at := p.refusedAt.Load()
	if at == 0 || monotonic()-at >= int64(avoidFor) {
		return 0
	}
	return at
}

var processStart = time.Now()

// monotonic returns nanoseconds since the process started, at least 1. Clock changes do not
// affect it.
func monotonic() int64 { return int64(time.Since(processStart)) + 1 }
