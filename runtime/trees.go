package runtime

import (
	"slices"
	"strings"
	"sync"

	"paas/volume"
)

// trees are the builds that processes run in: a version that is being retired still reads its files.
type trees struct {
	mu      sync.Mutex
	running map[string][]Process
}

// used says whether a process runs in tree, or in a folder below it.
func (t *trees) used(tree string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for dir := range t.running {
		if (dir == tree || strings.HasPrefix(dir, tree+"/")) && len(t.still(dir)) > 0 {
			return true
		}
	}
	return false
}

func (t *trees) add(tree string, p Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == nil {
		t.running = map[string][]Process{}
	}
	t.running[tree] = append(t.still(tree), p)
}

// still forgets the processes of tree that have ended, and returns the others.
func (t *trees) still(tree string) []Process {
	left := slices.DeleteFunc(t.running[tree], func(p Process) bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	})
	if len(left) == 0 {
		delete(t.running, tree)
	} else {
		t.running[tree] = left
	}
	return left
}

// start starts a process under the limits that are wanted now, whose build stays while it runs. What
// starts in it is a release that needs it anyway, so it cannot go before this returns.
func (rt *Runtime) start(spec Spec) (Process, error) {
	app, err := rt.Volume.App(spec.App)
	if err != nil {
		return nil, err
	}
	settings, err := app.Wanted()
	if volume.IsDamage(err) { // those that it was made with
		var r volume.Release
		r, err = app.Release(spec.Release)
		settings = r.Wanted
	}
	if err != nil {
		return nil, err
	}
	spec.Limits = settings.LimitsOf(spec.Type)
	p, err := rt.Engine.Start(spec)
	if err == nil {
		rt.trees.add(spec.Tree, p)
	}
	return p, err
}
