package runtime

import (
	"context"
	"maps"
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

	refused  map[engine.UnitName]refused // what the engine could not be told about
	willTell bool                        // it is told again in at most a second

	adopted []seat // places that ran at the start, until ready
	ready   bool   // what should run of them is wanted by now
}

// refused is a unit that the engine could not be told about.
type refused struct {
	reason string
	grace  time.Duration // of the attempt
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
	if u.loop.rt.handover.hasLeft() {
		return
	}
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
		u.refuse(name, refused{err.Error(), grace})
		return
	}
	delete(u.refused, name)
}

// refuse notes that the engine could not be told about a unit. Its members that do not run have
// failed to start. The engine is told again in a second.
func (u *units) refuse(name engine.UnitName, why refused) {
	if u.refused[name].reason != why.reason {
		u.loop.log.Error("cannot tell the engine what should run",
			"unit", name.String(), "err", why.reason)
	}
	if !u.willTell {
		u.willTell = true
		time.AfterFunc(retryEvery, u.tellAgain)
	}
	u.refused[name] = why
	for at, m := range u.members {
		if at.unit == name && !m.dropped {
			m.refuse("the engine does not run it: " + why.reason)
		}
	}
}

// tellAgain tells the engine about the units that it could not be told about.
func (u *units) tellAgain() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.willTell = false
	for name, why := range maps.Clone(u.refused) {
		if u.has(name) {
			u.tell(name, why.grace)
		} else {
			delete(u.refused, name)
		}
	}
	u.look()
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

// name returns the unit for a process of release n. If the engine has run the process since before
// the server started, it is the unit where it does.
func (u *units) name(n int, p place) engine.UnitName {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := engine.UnitName{App: u.loop.app.Name, Release: n, Type: p.Type}
	for _, at := range u.adopted {
		if at.unit.Release == n && at.unit.Type == p.Type && at.index == p.Index {
			name.Copy = max(name.Copy, at.unit.Copy)
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

// adopt notes what the engine has run since before the server started: it may be wanted.
func (u *units) adopt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	places, err := u.loop.rt.Engine.Places(context.Background(), u.loop.app.Name)
	if err != nil {
		u.loop.log.Error("cannot ask the engine what runs", "err", err)
	}
	for _, p := range places {
		u.adopted = append(u.adopted, seat{p.Unit, p.Index})
		u.copies = max(u.copies, p.Unit.Copy)
	}
}

// adoptedAll notes that everything that should run of what was adopted is wanted by now, and drops
// the rest.
func (u *units) adoptedAll(grace time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ready {
		return
	}
	for _, at := range u.adopted {
		u.dropIfUnwanted(at.unit, grace)
	}
	u.ready, u.adopted = true, nil
}

// dropIfOther drops a unit of the engine that is not wanted, unless it may still be adopted.
func (u *units) dropIfOther(name engine.UnitName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ready {
		u.dropIfUnwanted(name, u.loop.rt.grace())
	}
}

func (u *units) dropIfUnwanted(name engine.UnitName, grace time.Duration) {
	if _, wanted := u.specs[name]; !wanted {
		u.loop.rt.dropUnit(name, grace)
	}
}

// dropUnit drops a unit that nobody wants. If that fails, the next round does it.
func (rt *Runtime) dropUnit(name engine.UnitName, grace time.Duration) {
	if err := rt.Engine.Drop(context.Background(), name, grace); err != nil {
		rt.Log.Error("cannot drop a unit that nobody wants", "unit", name.String(), "err", err)
	}
}
