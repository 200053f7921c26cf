package runtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// units are what the engine is asked to run of one app, and what it reports of that. Processes are booted
// beside the app's own goroutine, so units is safe for concurrent use.
type units struct {
	home *home

	mu      sync.Mutex
	members map[seat]*member
	specs   map[engine.UnitName]engine.Unit // as the engine was told last
	copies  int                             // the highest number of a copy so far
}

// seat is where the process of a member is, for the engine.
type seat struct {
	unit  engine.UnitName
	index int
}

// want has the engine keep a process of each member running. It is told of all at once: it ends what else it
// runs of their units.
func (u *units) want(w volume.Wanted, members ...*member) {
	u.mu.Lock()
	defer u.mu.Unlock()
	changed := map[engine.UnitName]bool{}
	for _, m := range members {
		if !m.dropped {
			u.enter(m, w, changed)
		}
	}
	for name := range changed {
		u.tell(name, u.specs[name].Grace)
	}
	u.look()
}

// enter makes m one of the members. changed are the units of which the engine is to be told.
func (u *units) enter(m *member, w volume.Wanted, changed map[engine.UnitName]bool) {
	if u.members[m.seat()] != nil { // the one before is still being ended: one may run beside it
		u.copies++
		m.unit.Copy = u.copies
	}
	u.members[m.seat()] = m
	m.letGo = u.home.rt.hold(u.home.app.Name, m.in.release.Build)
	if m.isSite() {
		m.openSite()
		return
	}
	u.specs[m.unit] = m.in.unit(m.unit, w)
	changed[m.unit] = true
}

// drop ends the process of m for good. m.gone closes when nothing of it is left. Called again, the shorter
// grace counts.
func (u *units) drop(m *member, grace time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	m.dropped = true
	if u.members[m.seat()] != m {
		m.leave()
		return
	}
	if m.isSite() {
		go m.closeSite(grace)
		return
	}
	u.tell(m.unit, grace)
	u.look()
}

// tell tells the engine which processes of a unit are wanted. Others are ended with grace.
func (u *units) tell(name engine.UnitName, grace time.Duration) {
	spec := u.specs[name]
	spec.Grace, spec.Indexes = grace, nil
	for at, m := range u.members {
		if at.unit == name && !m.dropped {
			spec.Indexes = append(spec.Indexes, at.index)
		}
	}
	slices.Sort(spec.Indexes)
	var err error
	if len(spec.Indexes) > 0 {
		err = u.home.rt.Engine.Want(context.Background(), spec)
	} else {
		err = u.home.rt.Engine.Drop(context.Background(), name, grace)
	}
	if err != nil {
		u.home.log.Error("the engine does not take what should run", "unit", name.String(), "err", err)
	}
}

// respec tells the engine what has changed for the processes of release i: it counts from their next
// start.
func (u *units) respec(i *instance, w volume.Wanted) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range u.specs {
		if name.Release == i.n {
			u.specs[name] = i.unit(name, w)
			u.tell(name, u.specs[name].Grace)
		}
	}
}

// refresh takes how all places are now.
func (u *units) refresh() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.look()
}

// look asks under the lock, so that what is seen is never older than what was seen or asked for before.
func (u *units) look() {
	if len(u.members) == 0 {
		return
	}
	places, err := u.home.rt.Engine.Places(context.Background(), u.home.app.Name)
	if err != nil {
		u.home.log.Error("the engine does not tell what runs", "err", err)
		return
	}
	now := map[seat]engine.Place{}
	for _, p := range places {
		now[seat{p.Unit, p.Index}] = p
	}
	for at, m := range u.members {
		if p, there := now[at]; there {
			m.saw(p)
		} else if m.dropped && !m.isSite() {
			m.leave()
		}
	}
	for name := range u.specs {
		if !u.has(name) {
			delete(u.specs, name)
		}
	}
}

func (u *units) has(name engine.UnitName) bool {
	for at := range u.members {
		if at.unit == name {
			return true
		}
	}
	return false
}

// name is the unit of a type of release n: the one that the engine has from an earlier life of the server, if
// there is one.
func (u *units) name(n int, processType string) engine.UnitName {
	name := engine.UnitName{App: u.home.app.Name, Release: n, Type: processType}
	for _, other := range u.home.adopted {
		if other.Release == n && other.Type == processType {
			name.Copy = max(name.Copy, other.Copy)
		}
	}
	return name
}

// beside is the name of another unit of the same processes.
func (u *units) beside(name engine.UnitName) engine.UnitName {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.copies++
	name.Copy = u.copies
	return name
}

// adopt finds what an earlier life of the server left running.
func (h *home) adopt() {
	all, err := h.rt.Engine.Units(context.Background())
	if err != nil {
		h.log.Error("the engine does not tell what it runs", "err", err)
	}
	for _, name := range all {
		if name.App == h.app.Name {
			h.adopted = append(h.adopted, name)
			h.units.copies = max(h.units.copies, name.Copy)
		}
	}
}

// dropOthers drops what was left running and is not part of what should run.
func (h *home) dropOthers() {
	h.units.mu.Lock()
	defer h.units.mu.Unlock()
	for _, name := range h.adopted {
		if _, wanted := h.units.specs[name]; !wanted {
			h.rt.Engine.Drop(context.Background(), name, h.grace())
		}
	}
	h.adopted = nil
}
