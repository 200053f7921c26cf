package runtime

import (
	"context"
	"sync"
)

// rename is how the loops of an app's former name and of its new one take turns.
type rename struct {
	before    *appLoop                   // runs the app under the former name, or did; nil: none
	successor func(name string) *appLoop // the loop of the new name; nil: the server is stopping

	serving chan struct{} // closed once it is settled what visitors get, and at the end
	serves  func()
	quiet   chan struct{} // closed once nothing runs any more but web processes
	rests   func()
}

func newRename() rename {
	r := rename{serving: make(chan struct{}), quiet: make(chan struct{})}
	r.serves = sync.OnceFunc(func() { close(r.serving) })
	r.rests = sync.OnceFunc(func() { close(r.quiet) })
	return r
}

// over lets nobody wait for the loop any more.
func (r *rename) over() {
	r.serves()
	r.rests()
}

// alone reports whether no worker and no scheduled command of the app runs under its former name.
// If one does, the loop is poked once that has changed.
func (a *appLoop) alone() bool {
	before := a.rename.before
	if before == nil || isClosed(before.rename.quiet) {
		a.rename.before = nil
		return true
	}
	go func() {
		<-before.rename.quiet
		a.poke()
	}()
	return false
}

// handOver ends the loop of an app that is called now from now on. The workers end at once, for
// those of the new name do the same work. The web processes have the traffic until those of the new
// name are ready, and then finish the requests that they have.
func (a *appLoop) handOver(ctx context.Context, now string) {
	a.log.Info("renamed", "to", now)
	next := a.rename.successor(now)
	a.end()
	a.retire(a.standby)
	var web, others []*member
	if a.live != nil {
		for _, m := range a.live.sorted() {
			if m.isWeb() {
				web = append(web, m)
			} else {
				others = append(others, m)
			}
		}
	}
	a.retireMembers(others, nil)
	a.stopping.Wait()
	a.rename.rests()
	if next != nil {
		select {
		case <-next.rename.serving:
		case <-ctx.Done():
		}
	}
	a.retireMembers(web, a.rt.Front.Remove(a.app.Name))
	a.stopping.Wait()
}
