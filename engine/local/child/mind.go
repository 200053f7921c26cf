package child

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Minder is a process that ends what this one has started when this one has ended.
type Minder struct {
	Mark string            // begins the [Marker] of all that this process starts
	Tell func(line string) // gets the lines that a guard gets, see guard; must not block for long
}

// Mind ends what another process has started, once end is called. That process has a [Minder] with
// mark and tell. If this process is killed, its guard does the same. Call it after Open.
func (k *Keeper) Mind() (mark string, tell func(line string), end func() error) {
	m := &minded{keeper: k, tree: processTree{mark: k.newMark("server")}}
	return m.tree.mark, m.tell, m.end
}

// minded is another process that this one minds.
type minded struct {
	keeper *Keeper
	mu     sync.Mutex
	tree   processTree
}

func (m *minded) tell(line string) {
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "+"))
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
	case pid > 1:
		m.tree.leaders = append(m.tree.leaders, pid)
		m.keeper.guard.add(pid)
	case pid < -1:
		m.tree.leaders = slices.DeleteFunc(m.tree.leaders, func(leader int) bool { return leader == -pid })
		m.keeper.guard.forget(-pid)
	}
}

// end blocks until nothing is left.
func (m *minded) end() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.tree.kill()
	for _, pid := range m.tree.leaders {
		m.keeper.guard.forget(pid)
	}
	return err
}
