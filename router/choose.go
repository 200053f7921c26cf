package router

import (
	"math/rand/v2"
	"slices"
	"time"
)

// instances are the processes that an app's requests go to. A set is never changed, only replaced.
type instances []*instance

// What keeps a request away from an instance, in users: more than there ever are.
const (
	costStale = 1 << 40 // it closed a kept connection on this very request
	costAway  = 1 << 50 // it refuses connections; the one that did so longest ago is worth a try first
)

// choose is the instance with the fewest users, any one of those that have as few. One that refuses
// connections has none and would draw every request: it comes after all others for a while. So does
// stale, which may be nil. The answer is nil where there are no instances at all.
func (s instances) choose(stale *instance) (best *instance) {
	switch len(s) {
	case 0:
		return nil
	case 1:
		return s[0]
	}
	least := int64(0)
	for k, first := 0, rand.IntN(len(s)); k < len(s); k++ {
		i := s[(first+k)%len(s)]
		cost := i.users.Load()
		if i == stale {
			cost += costStale
		}
		if at := i.up.awaySince(); at > 0 {
			cost = costAway + at
		}
		if best == nil || cost < least {
			best, least = i, cost
		}
	}
	return best
}

// at is the set for addrs: what s has of them stays as it is, the others begin. gone is what s has
// besides.
func (s instances) at(addrs []string) (next, gone instances) {
	for _, i := range s {
		if slices.Contains(addrs, i.addr) {
			next = append(next, i)
		} else {
			gone = append(gone, i)
		}
	}
	for _, addr := range addrs {
		if addr != "" && !next.has(addr) {
			next = append(next, newInstance(addr))
		}
	}
	return next, gone
}

func (s instances) has(addr string) bool {
	return slices.ContainsFunc(s, func(i *instance) bool { return i.addr == addr })
}

// awayFor is how long a process that refused a connection is spared, where there are others.
const awayFor = time.Second

// awaySince is when the process refused a connection, on the clock of [clock]; 0 where it takes
// them, or may do so again.
func (u *upstream) awaySince() int64 {
	at := u.refused.Load()
	if at == 0 || clock()-at >= int64(awayFor) { // the clock is looked at only where something is wrong
		return 0
	}
	return at
}

var began = time.Now()

// clock is in nanoseconds, above 0, and nobody can set it.
func clock() int64 { return int64(time.Since(began)) + 1 }
