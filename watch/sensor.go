package watch

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"paas/say"
)

const (
	often  = time.Second      // between two looks where there is nothing else
	seldom = 10 * time.Second // between two looks behind events
	never  = time.Minute      // no look is put off longer, however long it takes

	oftenShare  = 50  // of the time a look took is the least pause after it: 2 % of a processor
	seldomShare = 500 // the same behind events

	holding  = 50 * time.Millisecond // between two looks at what holds a burst
	gitPause = 2 * time.Second       // in git's writing, at most: it also holds its lock while a person writes a message
	mostDirt = 5000                  // paths with an event; beyond, everything is looked at
)

// sensor knows when files of a tree have changed. It has no goroutine and no lock: whoever has it
// hands it the events, and wakes it when it asks for it.
type sensor struct {
	dir         string // absolute, links and all
	ignore, ext []string
	poll        bool
	messages    io.Writer
	open        func() (events, error)

	events   events
	tree     *tree
	inode    uint64 // of the tree's root
	anchors  anchors
	marker   marker
	lock     string // git's, which is there while it changes files
	missing  bool   // dir is not there
	nextLook time.Time
	started  time.Time // when the command was

	burst   burst
	found   changes         // not taken yet
	dirty   map[string]bool // paths with an event, not looked at yet
	all     bool            // too many of them, or lost some
	moved   bool            // the tree may be somewhere else
	heard   bool            // an event told of this burst; else a look found it
	settled bool            // the marker says that this burst is over
	held    bool            // by the marker, or by git's lock
	hold    time.Time       // when to look at them again
}

// begin looks at everything for the first time.
func (s *sensor) begin(now time.Time) {
	s.found, s.dirty = changes{}, map[string]bool{}
	s.poll = s.poll || !haveEvents
	if !s.poll {
		var err error
		if s.events, err = s.open(); err != nil {
			s.fallBack(now, exhausted(err))
		}
	}
	s.look(now)
	s.forget()
	clear(s.found)
}

// next is when to call wake.
func (s *sensor) next() time.Time {
	if !s.burst.pending() {
		return s.nextLook
	}
	if due := s.due(); due.Before(s.nextLook) {
		return due
	}
	return s.nextLook
}

// due is when the burst, which is pending, is to be finished.
func (s *sensor) due() time.Time {
	switch {
	case s.settled:
		return s.burst.last
	case s.held:
		return s.hold
	}
	return s.burst.due()
}

// pending says whether changes may be on their way.
func (s *sensor) pending() bool { return s.burst.pending() }

// expect makes the sensor wait where an update is on its way, even if nothing of it is here yet.
func (s *sensor) expect(now time.Time) {
	if s.marker.updating(now) {
		s.burst.add(now, true)
	}
}

// event takes one event.
func (s *sensor) event(e fsnotify.Event, now time.Time) {
	if s.tree == nil || e.Name == "" { // fsnotify's way to say nothing
		return
	}
	path, inside := strings.CutPrefix(e.Name, s.tree.root+"/")
	switch {
	case inside:
		s.note(path, now)
	case e.Name == s.marker.path:
		if updating := s.marker.updating(now); !updating && s.burst.pending() {
			s.settled, s.held = true, false
		}
	case s.anchors.entries[e.Name]:
		s.moved = true
		s.note(".", now)
	}
}

func (s *sensor) note(path string, now time.Time) {
	if !s.tree.notable(path) {
		return
	}
	fresh := !s.dirty[path]
	if len(s.dirty) < mostDirt {
		s.dirty[path] = true
	} else {
		s.all = true
	}
	s.heard = true
	s.burst.add(now, fresh)
	if now.Sub(s.started) < justStarted {
		s.burst.expectMore()
	}
}

// failed takes an error of the events: some were lost, mostly.
func (s *sensor) failed(now time.Time) {
	s.all, s.moved, s.heard = true, true, true
	s.burst.add(now, true)
	s.burst.expectMore()
}

// wake does what is due, and says whether a burst has ended with it. What changed is then in
// found, if anything did.
func (s *sensor) wake(now time.Time) (over bool) {
	switch {
	case s.burst.pending() && !now.Before(s.due()):
		return s.finish(now)
	case !now.Before(s.nextLook):
		s.glance(now)
	}
	return false
}

// glance looks at everything, and takes what it finds for the beginning of a burst.
func (s *sensor) glance(now time.Time) {
	if s.burst.pending() {
		s.plan(now, 0) // its end looks again
		return
	}
	for range s.look(now) {
		s.burst.add(now, true)
	}
	if !s.poll && s.burst.pending() {
		s.burst.expectMore() // and time for the events, should they come after all
	}
}

// finish ends the burst unless there is a reason to wait.
func (s *sensor) finish(now time.Time) (over bool) {
	if s.burst.brief() && !s.settled && s.arrivals() {
		s.burst.expectMore()
		if now.Before(s.burst.due()) {
			return false
		}
	}
	if s.marker.updating(now) || s.gitWrites(now) {
		s.held, s.hold = true, now.Add(holding)
		return false
	}
	if s.held { // no event told of its end, so others may be on their way, too
		s.all = true
	}
	more := s.lookAgain(now)
	if s.missing || s.poll && more > 0 {
		for range more {
			s.burst.add(now, true)
		}
		if s.missing {
			s.forget() // what is missing is found when it is there again
		}
		return false
	}
	if !s.poll && !s.heard && len(s.found) > 0 && !othersWrite(s.tree.root) {
		s.fallBack(now, "changes come without events here")
	}
	s.forget()
	return true
}

// arrivals says whether the burst has brought what was not there before: a save changes a file, and
// leaves none behind.
func (s *sensor) arrivals() bool {
	return !s.moved && slices.ContainsFunc(slices.Collect(maps.Keys(s.dirty)), s.tree.arrived)
}

// gitWrites says whether git is changing files, as far as its lock and its pace tell.
func (s *sensor) gitWrites(now time.Time) bool {
	return now.Sub(s.burst.last) < gitPause && now.Sub(s.burst.begun) < longest && exists(s.lock)
}

// forget ends the burst's account.
func (s *sensor) forget() {
	s.burst.reset()
	clear(s.dirty)
	s.all, s.moved, s.heard, s.settled, s.held = false, false, false, false, false
}

// lookAgain looks at what had events, and says how many changes are new.
func (s *sensor) lookAgain(now time.Time) int {
	if s.poll || s.all || s.moved {
		return s.look(now)
	}
	before := len(s.found)
	if err := s.tree.look(slices.Sorted(maps.Keys(s.dirty)), s.found.add); err != nil {
		s.fallBack(now, exhausted(err))
		return s.look(now)
	}
	return len(s.found) - before
}

// look looks at everything, wherever it is by now, and says how many changes are new.
func (s *sensor) look(now time.Time) int {
	begun := time.Now()
	before := len(s.found)
	moved := s.locate(now)
	if !s.missing {
		if err := s.tree.scan(s.found.add); err != nil {
			s.fallBack(now, exhausted(err))
			s.tree.scan(s.found.add) // without watches nothing goes wrong
		}
		if moved && len(s.found) == before {
			s.found.add(".")
		}
	}
	s.plan(now, time.Since(begun))
	return len(s.found) - before
}

// plan says when the next look at everything is, after one that took so long.
func (s *sensor) plan(now time.Time, took time.Duration) {
	pause := max(seldom, seldomShare*took)
	if s.poll || s.missing || othersWrite(s.dir) {
		pause = max(often, oftenShare*took)
	}
	s.nextLook = now.Add(took + min(pause, never))
}

// locate finds the folder that dir leads to by now, and says whether it is another than before.
func (s *sensor) locate(now time.Time) (moved bool) {
	root, err := filepath.EvalSymlinks(s.dir)
	folder, statErr := stampAt(unix.AT_FDCWD, root)
	if err != nil || statErr != nil || !folder.isFolder() {
		if !s.missing {
			say.Fault(s.messages, "%s is not there; waiting for it", s.dir)
		}
		s.missing = true
		return false
	}
	if s.missing = false; s.tree != nil && root == s.tree.root && folder.inode == s.inode {
		return false
	}
	s.moveTo(now, root)
	s.inode = folder.inode
	s.heard = true // no event of the folder that is gone is to be had
	return true
}

// moveTo keeps what is known of the files, so that the next look finds what is different.
func (s *sensor) moveTo(now time.Time, root string) {
	old := s.tree
	s.tree = newTree(root, newRules(root, s.ignore, s.ext))
	if old != nil {
		old.forget(old.top, func(string) {})
		s.tree.top = old.top
	}
	if top, ok := repository(root); ok {
		s.lock = filepath.Join(top, ".git", "index.lock")
	}
	s.marker.path = markerPath(root)
	s.useEvents(now)
}

// useEvents has the tree watched, and where it is.
func (s *sensor) useEvents(now time.Time) {
	if s.events.notifier == nil {
		return
	}
	s.tree.watch, s.tree.unwatch = s.events.add, s.events.remove
	before := s.anchors
	s.anchors = anchorsOf(s.dir, s.tree.root)
	s.anchors.folders[filepath.Dir(s.marker.path)] = true
	for folder := range before.folders {
		if !s.anchors.folders[folder] {
			s.events.remove(folder)
		}
	}
	for folder := range s.anchors.folders {
		if err := s.events.add(folder); err != nil {
			s.fallBack(now, exhausted(err))
			return
		}
	}
}

// fallBack gives the events up.
func (s *sensor) fallBack(now time.Time, why string) {
	say.Fault(s.messages, "%s; looking for changes each second or, in a large tree, less often", why)
	s.poll = true
	s.plan(now, 0)
	s.close()
	if s.tree != nil {
		s.tree.watch, s.tree.unwatch = nil, nil
	}
}

// close ends the events.
func (s *sensor) close() {
	if s.events.notifier != nil {
		s.events.Close()
	}
	s.events = events{}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
