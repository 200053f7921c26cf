package runtime

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"paas/volume"
)

// adjust makes the processes of the live release match what is wanted: it starts those that are
// missing, stops those that are too many, and restarts those that a person asked to restart.
func (a *appLoop) adjust(ctx context.Context) {
	i := a.live
	first := i.release.N == 0 // the server has just started, and the front holds requests
	settings, err := a.readWanted()
	if err == nil {
		err = i.load()
	}
	if err != nil {
		if a.there() {
			a.complain("tell what is to run", err)
			time.AfterFunc(lookAgain/2, a.poke)
		}
		return
	}
	a.works("tell what is to run")
	if !reflect.DeepEqual(settings, i.told) { // they may have changed while it booted or stood by
		a.units.respec(i, settings)
		i.told = settings
	}
	a.settings = settings
	if a.alone() {
		a.crontab.follow(ctx, i, settings)
	}
	changed := a.sleeper.ended(settings) || first
	wanted := i.wanted(settings)
	if a.sleeper.asleep() {
		wanted = nil
	}
	var missing []*member
	for _, p := range wanted {
		if i.members[p] == nil && i.mayStart(p) {
			m := newMember(i, p, nameIn(wanted, p), settings)
			i.members[p] = m
			missing = append(missing, m)
		}
	}
	if len(missing) > 0 {
		a.begin(ctx, settings, missing...)
		changed = true
	}
	var surplus []*member
	for _, p := range slices.Collect(maps.Keys(i.members)) {
		if !slices.Contains(wanted, p) {
			surplus = append(surplus, i.members[p])
			delete(i.members, p)
			changed = true
		}
	}
	if changed {
		a.retireMembers(surplus, a.route())
		a.saveProcesses()
	}
	a.units.adoptedAll(a.grace())
	for _, m := range i.sorted() {
		if token := settings.Restart(m.Type, m.Index); token != m.wanted {
			m.restart(ctx, token)
		}
	}
	a.sleeper.sleepIfIdle()
}

// mayStart reports whether no process that does the same work is still stopping: none of another
// release or from before a rename, and not the one that had the place before. Web processes may run side by side.
func (i *instance) mayStart(p place) bool {
	if p.isWeb() {
		return true
	}
	if !i.loop.alone() {
		return false
	}
	for m := range i.loop.leaving {
		if !m.isWeb() && (m.in != i || m.place == p) {
			return false
		}
	}
	return true
}

// retireMembers stops processes in the background. If drained is not nil, web processes first
// finish the requests they have.
func (a *appLoop) retireMembers(members []*member, drained <-chan struct{}) {
	for _, m := range members {
		if m.next != nil { // it has had no traffic
			a.leave(m.next, nil)
		}
		if m.isWeb() {
			a.leave(m, drained)
		} else {
			a.leave(m, nil)
		}
	}
}

// leave stops a process in the background, once drained closes if that is not nil. The process is
// listed until it is gone, and then the returned channel closes.
func (a *appLoop) leave(m *member, drained <-chan struct{}) (gone <-chan struct{}) {
	over := make(chan struct{})
	m.status.State, m.status.Since, m.status.Next = stopping, time.Now().UTC(), time.Time{}
	a.leaving[m] = struct{}{}
	grace := a.grace()
	a.stopping.Go(func() {
		if drained != nil {
			<-drained
		}
		a.units.drop(m, grace)
		<-m.gone
		close(over)
		go a.post(func() { // without waiting: shutDown waits for a.stopping, and runs no posts
			delete(a.leaving, m)
			a.saveProcesses()
		})
	})
	return over
}

const stopping = "stopping" // state of a process that finishes its requests, or was sent SIGTERM

// restart starts a process again. A web process starts beside the old one, which stops when the new
// one is healthy. Any other starts after the old one has ended, so that no two of them do the same
// work.
func (m *member) restart(ctx context.Context, token string) {
	a := m.in.loop
	m.wanted = token
	next := m.again(a.settings)
	if m.isWeb() && m.proc != nil && m.serves(m.proc) {
		if m.next != nil { // of an earlier restart, still starting
			a.retireMembers([]*member{m.next}, nil)
		}
		m.next = next
		a.units.want(a.settings, next)
		go func() {
			p, err := next.healthy(ctx, nil)
			a.post(func() { m.replaced(ctx, next, p, err) })
		}()
		return
	}
	m.in.members[m.place] = next
	gone := a.leave(m, nil)
	a.saveProcesses()
	if m.isWeb() { // it does not answer: nothing is lost if it stops first
		a.begin(ctx, a.settings, next)
		return
	}
	a.stopping.Go(func() {
		<-gone
		go a.post(func() {
			if next.mine() {
				a.begin(ctx, a.settings, next)
			}
		})
	})
}

// replaced ends the restart of a web process: the traffic goes to p, the process of next, unless
// err says why it is not healthy.
func (m *member) replaced(ctx context.Context, next *member, p *proc, err error) {
	a := m.in.loop
	if !m.mine() || m.next != next || ctx.Err() != nil || p == nil {
		a.leave(next, nil)
		return
	}
	m.next = nil
	if err != nil {
		a.units.drop(next, 0)
		m.status.Restart = next.wanted
		m.status.Failure, m.status.Remedy = err.Error(), volume.RemedyOf(err)
		a.log.Warn("restart failed; the process from before goes on",
			"process", m.place.String(), "release", m.in.n, "err", err)
		a.saveProcesses()
		return
	}
	m.in.members[m.place] = next
	next.serve(ctx, p)
	go next.follow(ctx, p)
	a.retireMembers([]*member{m}, a.route())
	a.saveProcesses()
}

// grace is the time that processes of the app have between SIGTERM and SIGKILL.
func (a *appLoop) grace() time.Duration {
	if g := a.settings.Grace; g > 0 {
		return g
	}
	return a.rt.grace()
}
