package runtime

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"
)

// adjust makes the processes of the release with the traffic match the settings: it starts what is
// missing, stops what is too many, and restarts what ps:restart names.
func (h *home) adjust(ctx context.Context) {
	i := h.live
	first := i.release.N == 0 // since the server's start; the front holds requests, perhaps for nothing
	settings, err := h.readWanted()
	if err == nil {
		err = i.load()
	}
	if err != nil {
		if h.there() {
			h.complain("tell what is to run", err)
			time.AfterFunc(lookAgain/2, h.poke)
		}
		return
	}
	h.works("tell what is to run")
	if !first && !reflect.DeepEqual(settings, h.settings) {
		h.units.respec(i, settings)
	}
	h.settings = settings
	h.crontab.follow(ctx, i, settings)
	changed := h.nap.ended(settings) || first
	wanted := i.wanted(settings)
	if h.nap.asleep() {
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
		h.begin(ctx, settings, missing...)
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
		h.retireMembers(surplus, h.route())
		h.saveProcesses()
	}
	if len(h.adopted) > 0 {
		h.dropOthers()
	}
	for _, m := range i.sorted() {
		if token := settings.Restart(m.Type, m.Index); token != m.wanted {
			m.restart(ctx, token)
		}
	}
	h.nap.doze()
}

// mayStart reports whether no process that does the same work is still stopping: one of another release,
// or the one that had the place before. Two web processes may answer side by side.
func (i *instance) mayStart(p place) bool {
	if p.isWeb() {
		return true
	}
	for m := range i.home.leaving {
		if !m.isWeb() && (m.in != i || m.place == p) {
			return false
		}
	}
	return true
}

// retireMembers stops processes that are not wanted any more, in the background. Web processes answer
// what they were asked before, where drained is not nil.
func (h *home) retireMembers(members []*member, drained <-chan struct{}) {
	for _, m := range members {
		if m.next != nil { // it never had any traffic
			h.leave(m.next, nil)
		}
		if m.isWeb() {
			h.leave(m, drained)
		} else {
			h.leave(m, nil)
		}
	}
}

// leave stops a process in the background, after drained where that is not nil; ps shows it until it is gone.
// The returned channel closes then.
func (h *home) leave(m *member, drained <-chan struct{}) (gone <-chan struct{}) {
	over := make(chan struct{})
	m.status.State, m.status.Since, m.status.Next = stopping, time.Now().UTC(), time.Time{}
	h.leaving[m] = struct{}{}
	grace := h.grace()
	h.stopping.Go(func() {
		if drained != nil {
			<-drained
		}
		h.units.drop(m, grace)
		<-m.gone
		close(over)
		go h.post(func() { // h.stopping is waited for where nothing is posted any more
			delete(h.leaving, m)
			h.saveProcesses()
		})
	})
	return over
}

const stopping = "stopping" // the state of a process that answers what it was asked, or has been sent SIGTERM

// restart starts a process again: a web process beside the old one, which stops when the new one is
// healthy; any other once the old one has ended, so that no two of them do the same work.
func (m *member) restart(ctx context.Context, token string) {
	h := m.in.home
	m.wanted = token
	next := m.again(h.settings)
	if m.isWeb() && m.proc != nil && m.serves(m.proc) {
		if m.next != nil { // of an earlier restart, still starting
			h.retireMembers([]*member{m.next}, nil)
		}
		m.next = next
		h.units.want(h.settings, next)
		go func() {
			p, err := next.healthy(ctx, nil)
			h.post(func() { m.replaced(ctx, next, p, err) })
		}()
		return
	}
	m.in.members[m.place] = next
	gone := h.leave(m, nil)
	h.saveProcesses()
	if m.isWeb() { // it does not answer yet, or has crashed
		h.begin(ctx, h.settings, next)
		return
	}
	h.stopping.Go(func() {
		<-gone
		go h.post(func() {
			if next.mine() {
				h.begin(ctx, h.settings, next)
			}
		})
	})
}

// replaced ends the restart of a web process, one way or the other: p, the process of next, is healthy unless
// err says why it is not.
func (m *member) replaced(ctx context.Context, next *member, p *proc, err error) {
	h := m.in.home
	if !m.mine() || m.next != next || ctx.Err() != nil || p == nil {
		h.leave(next, nil)
		return
	}
	m.next = nil
	if err != nil {
		h.units.drop(next, 0)
		m.status.Restart, m.status.Failure = next.wanted, err.Error()
		h.log.Warn("not started anew; the process from before goes on", "process", m.place.String(), "release", m.in.n, "err", err)
		h.saveProcesses()
		return
	}
	m.in.members[m.place] = next
	next.serve(ctx, p)
	go next.follow(ctx, p)
	h.retireMembers([]*member{m}, h.route())
	h.saveProcesses()
}

// grace is what processes of the app get between SIGTERM and SIGKILL.
func (h *home) grace() time.Duration {
	if g := h.settings.Grace; g > 0 {
		return g
	}
	return h.rt.grace()
}
