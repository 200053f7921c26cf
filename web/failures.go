package web

import (
	"net/netip"
	"sync"
	"time"

	"paas/limiter"
)

const (
	maxFailures    = 10 // wrong tokens per address and failureWindow
	failureWindow  = time.Minute
	maxFailedAddrs = 10_000
)

// failures counts wrong tokens by address, from the beginning of each window.
type failures struct {
	mu    sync.Mutex
	since time.Time
	count map[netip.Prefix]int
}

// add counts one more and reports whether the address, or its network, has had too many.
func (f *failures) add(addr netip.Addr) (tooMany bool) {
	from := limiter.Network(addr)
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.since) > failureWindow {
		f.since, f.count = time.Now(), map[netip.Prefix]int{}
	}
	if _, known := f.count[from]; !known && len(f.count) >= maxFailedAddrs {
		return true
	}
	f.count[from]++
	return f.count[from] > maxFailures
}
