package sidecar

import "sync"

// bell wakes one goroutine: rings that it has not heard yet count as one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// ring does not block.
func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// bells are the apps that have rung since the last take.
type bells struct {
	wake bell
	mu   sync.Mutex
	apps map[string]bool
}

func newBells() *bells { return &bells{wake: newBell(), apps: map[string]bool{}} }

// ring does not block.
func (b *bells) ring(app string) { b.ringAll([]string{app}) }

func (b *bells) ringAll(apps []string) {
	b.mu.Lock()
	for _, app := range apps {
		b.apps[app] = true
	}
	b.mu.Unlock()
	b.wake.ring()
}

func (b *bells) take() (apps []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for app := range b.apps {
		apps = append(apps, app)
	}
	clear(b.apps)
	return apps
}
