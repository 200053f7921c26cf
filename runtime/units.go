package runtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// units are what the engine is asked to run for one app, with what it reports about it. It is safe
// for concurrent use, for a release is booted beside the app's goroutine.
type units struct {
	loop *appLoop

	mu      sync.Mutex
	members map[seat]*member
	specs   map[engine.UnitName]engine.Unit // what the engine was told last
	copies  int                             // the highest copy number so far
}

// seat is where the engine runs the process of a member.
type seat struct {
	unit  engine.UnitName
	index int
}

// want has the engine keep a process of each member running. Members of one unit must come
// together: the engine ends what else it runs of a unit.
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

// enter adds m to the members, and to changed the unit that the engine must be told about.
func (u *units) enter(m *member, w volume.Wanted, changed map[engine.UnitName]bool) {
	if u.members[m.seat()] != nil { // the one before is still being ended; this one runs beside it
		u.copies++
		m.unit.Copy = u.copies
	}
	u.members[m.seat()] = m
	m.letGo = u.loop.rt.hold(u.loop.app.Name, m.in.release.Build)
	if m.isSite() {
		m.openSite(0)
		return
	}
	u.specs[m.unit] = m.in.unit(m.unit, w)
	changed[m.unit] = true
}

// drop ends the process of m, and m.gone closes when nothing of it is left. If drop is called
// again, the shorter grace counts.
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

// tell tells the engine which processes of a unit are wanted. The engine ends the others, with
// grace.
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
		err = u.loop.rt.Engine.Want(context.Background(), spec)
	} else {
		err = u.loop.rt.Engine.Drop(context.Background(), name, grace)
	}
	if err != nil {
		u.loop.log.Error("cannot tell the engine what should run",
			"unit", name.String(), "err", err)
	}
}

// respec tells the engine what should run of i now. Running processes go on as they are.
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

// refresh asks the engine how all places are, and takes note of it.
func (u *units) refresh() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.look()
}

// look asks under the lock, so that no answer is older than what was seen or told before.
func (u *units) look() {
	if len(u.members) == 0 {
		return
	}
	places, err := u.loop.rt.Engine.Places(context.Background(), u.loop.app.Name)
	if err != nil {
		u.loop.log.Error("cannot ask the engine what runs", "err", err)
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

// name returns the unit for a process type of release n. If the engine has run one since before the
// server started, it is that one.
func (u *units) name(n int, processType string) engine.UnitName {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := engine.UnitName{App: u.loop.app.Name, Release: n, Type: processType}
	for _, other := range u.loop.adopted {
		if other.Release == n && other.Type == processType {
			name.Copy = max(name.Copy, other.Copy)
		}
	}
	return name
}

// beside returns a new name for a unit that runs beside the one called name.
func (u *units) beside(name engine.UnitName) engine.UnitName {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.copies++
	name.Copy = u.copies
	return name
}

// adopt lists the units that the engine has run since before the server started.
func (a *appLoop) adopt() {
	all, err := a.rt.Engine.Units(context.Background())
	if err != nil {
		a.log.Error("cannot ask the engine which units it has", "err", err)
	}
	for _, name := range all {
		if name.App == a.app.Name {
			a.adopted = append(a.adopted, name)
			a.units.copies = max(a.units.copies, name.Copy)
		}
	}
}

// dropOthers drops those of the adopted units that should not run any more.
func (a *appLoop) dropOthers() {
	a.units.mu.Lock()
	defer a.units.mu.Unlock()
	for _, name := range a.adopted {
		if _, wanted := a.units.specs[name]; !wanted {
			a.rt.Engine.Drop(context.Background(), name, a.grace())
		}
	}
	a.adopted = nil
}
