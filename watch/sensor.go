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
	pollInterval    = time.Second      // between scans when polling
	rescanInterval  = 10 * time.Second // between scans in addition to events
	maxScanInterval = time.Minute      // maximum pause between scans, however long they take

	pollShare   = 50  // a pause is at least this many times the scan: 2 % of a processor
	rescanShare = 500 // the same for scans in addition to events

	recheckInterval = 50 * time.Millisecond // between checks of the marker and git's lock
	// maximum pause in git's writing, because git also holds its lock while a commit message is
	// edited
	gitPause = 2 * time.Second
	maxDirty = 5000 // paths with an event; with more, scan everything
)

// sensor detects changes of files in a tree. It has no goroutines and no locks: its owner passes it
// events and calls wake when nextWake says so.
type sensor struct {
	dir         string // absolute, with its links
	ignore, ext []string
	poll        bool
	messages    io.Writer
	open        func() (events, error)

	events   events
	tree     *tree
	inode    uint64 // of root
	anchors  anchors
	marker   marker
	gitLock  string // exists while git changes files
	missing  bool   // dir does not exist
	nextScan time.Time
	started  time.Time // when the command started

	burst     burst
	changes   changes         // since the last start of the command
	dirty     map[string]bool // paths with an event, not checked yet
	scanAll   bool            // too many events, or some were lost
	moved     bool            // dir may lead to another folder
	hadEvent  bool            // this burst had an event; else a scan found it
	settled   bool            // the marker says that the update is complete
	waiting   bool            // for the marker or git's lock
	waitUntil time.Time       // when to check them again
}

// firstScan records the state of the tree.
func (s *sensor) firstScan(now time.Time) {
	s.changes, s.dirty = changes{}, map[string]bool{}
	s.poll = s.poll || !haveEvents
	if !s.poll {
		var err error
		if s.events, err = s.open(); err != nil {
			s.fallBackToPolling(now, limitMessage(err))
		}
	}
	s.scan(now)
	s.resetBurst()
	clear(s.changes)
}

// nextWake returns when to call wake.
func (s *sensor) nextWake() time.Time {
	if !s.burst.pending() {
		return s.nextScan
	}
	if due := s.due(); due.Before(s.nextScan) {
		return due
	}
	return s.nextScan
}

// due returns when the pending burst should be finished.
func (s *sensor) due() time.Time {
	switch {
	case s.settled:
		return s.burst.last
	case s.waiting:
		return s.waitUntil
	}
	return s.burst.due()
}

// pending reports whether a burst has begun.
func (s *sensor) pending() bool { return s.burst.pending() }

// expectUpdate begins a burst if the marker says that an update is in progress.
func (s *sensor) expectUpdate(now time.Time) {
	if s.marker.updating(now) {
		s.burst.add(now, true)
	}
}

// handleEvent handles an event.
func (s *sensor) handleEvent(e fsnotify.Event, now time.Time) {
	if s.tree == nil || e.Name == "" { // an empty event
		return
	}
	path, inside := strings.CutPrefix(e.Name, s.tree.root+"/")
	switch {
	case inside:
		s.markDirty(path, now)
	case e.Name == s.marker.path:
		if updating := s.marker.updating(now); !updating && s.burst.pending() {
			s.settled, s.waiting = true, false
		}
	case s.anchors.entries[e.Name]:
		s.moved = true
		s.markDirty(".", now)
	}
}

func (s *sensor) markDirty(path string, now time.Time) {
	if !s.tree.isRelevant(path) {
		return
	}
	fresh := !s.dirty[path]
	if len(s.dirty) < maxDirty {
		s.dirty[path] = true
	} else {
		s.scanAll = true
	}
	s.hadEvent = true
	s.burst.add(now, fresh)
	if now.Sub(s.started) < startupPeriod {
		s.burst.expectMore()
	}
}

// eventsLost handles an error of the notifier: usually it has lost events.
func (s *sensor) eventsLost(now time.Time) {
	s.scanAll, s.moved, s.hadEvent = true, true, true
	s.burst.add(now, true)
	s.burst.expectMore()
}

// wake does what is due. It reports whether a burst has ended; s.changes then has its changes, if
// any.
func (s *sensor) wake(now time.Time) (over bool) {
	switch {
	case s.burst.pending() && !now.Before(s.due()):
		return s.finishBurst(now)
	case !now.Before(s.nextScan):
		s.periodicScan(now)
	}
	return false
}

// periodicScan scans the tree. Changes begin a burst.
func (s *sensor) periodicScan(now time.Time) {
	if s.burst.pending() {
		s.scheduleScan(now, 0) // the end of the burst scans again
		return
	}
	for range s.scan(now) {
		s.burst.add(now, true)
	}
	if !s.poll && s.burst.pending() {
		s.burst.expectMore() // leave time for events that are late
	}
}

// finishBurst ends the burst, unless there is a reason to wait.
func (s *sensor) finishBurst(now time.Time) (over bool) {
	if s.burst.isSave() && !s.settled && s.hasNewFiles() {
		s.burst.expectMore()
		if now.Before(s.burst.due()) {
			return false
		}
	}
	if s.marker.updating(now) || s.gitIsWriting(now) {
		s.waiting, s.waitUntil = true, now.Add(recheckInterval)
		return false
	}
	if s.waiting { // the end of the wait had no event, so others may be missing too
		s.scanAll = true
	}
	more := s.checkDirty(now)
	if s.missing || s.poll && more > 0 {
		for range more {
			s.burst.add(now, true)
		}
		if s.missing {
			s.resetBurst() // found again when the folder exists again
		}
		return false
	}
	if !s.poll && !s.hadEvent && len(s.changes) > 0 && !isShared(s.tree.root) {
		s.fallBackToPolling(now, "changes here cause no events")
	}
	s.resetBurst()
	return true
}

// hasNewFiles reports whether the burst added files. A save changes a file and adds none.
func (s *sensor) hasNewFiles() bool {
	return !s.moved && slices.ContainsFunc(slices.Collect(maps.Keys(s.dirty)), s.tree.isNew)
}

// gitIsWriting reports whether git is changing files, judging by its lock and pace.
func (s *sensor) gitIsWriting(now time.Time) bool {
	return now.Sub(s.burst.last) < gitPause && now.Sub(s.burst.first) < maxBurst &&
		exists(s.gitLock)
}

// resetBurst forgets the burst.
func (s *sensor) resetBurst() {
	s.burst.reset()
	clear(s.dirty)
	s.scanAll, s.moved, s.hadEvent, s.settled, s.waiting = false, false, false, false, false
}

// checkDirty checks the paths that had events and returns the number of new changes.
func (s *sensor) checkDirty(now time.Time) int {
	if s.poll || s.scanAll || s.moved {
		return s.scan(now)
	}
	before := len(s.changes)
	if err := s.tree.check(slices.Sorted(maps.Keys(s.dirty)), s.changes.add); err != nil {
		s.fallBackToPolling(now, limitMessage(err))
		return s.scan(now)
	}
	return len(s.changes) - before
}

// scan scans the tree, wherever dir leads now, and returns the number of new changes.
func (s *sensor) scan(now time.Time) int {
	begun := time.Now()
	before := len(s.changes)
	moved := s.locate(now)
	if !s.missing {
		if err := s.tree.scan(s.changes.add); err != nil {
			s.fallBackToPolling(now, limitMessage(err))
			s.tree.scan(s.changes.add) // cannot fail without watches
		}
		if moved && len(s.changes) == before {
			s.changes.add(".")
		}
	}
	s.scheduleScan(now, time.Since(begun))
	return len(s.changes) - before
}

// scheduleScan schedules the next scan after one that took the given time.
func (s *sensor) scheduleScan(now time.Time, took time.Duration) {
	pause := max(rescanInterval, rescanShare*took)
	if s.poll || s.missing || isShared(s.dir) {
		pause = max(pollInterval, pollShare*took)
	}
	s.nextScan = now.Add(took + min(pause, maxScanInterval))
}

// locate follows dir and reports whether it leads to another folder than before.
func (s *sensor) locate(now time.Time) (moved bool) {
	root, err := filepath.EvalSymlinks(s.dir)
	folder, statErr := stampAt(unix.AT_FDCWD, root)
	if err != nil || statErr != nil || !folder.isFolder() {
		if !s.missing {
			say.Fault(s.messages, "%s does not exist; waiting for it", s.dir)
		}
		s.missing = true
		return false
	}
	if s.missing = false; s.tree != nil && root == s.tree.root && folder.inode == s.inode {
		return false
	}
	s.changeRoot(now, root)
	s.inode = folder.inode
	s.hadEvent = true // the old folder has no more events
	return true
}

// changeRoot keeps the recorded files, so that the next scan finds the differences.
func (s *sensor) changeRoot(now time.Time, root string) {
	old := s.tree
	s.tree = newTree(root, newRules(root, s.ignore, s.ext))
	if old != nil {
		old.forget(old.top, func(string) {})
		s.tree.top = old.top
	}
	if top, ok := repositoryRoot(root); ok {
		s.gitLock = filepath.Join(top, ".git", "index.lock")
	}
	s.marker.path = markerPath(root)
	s.watchFolders(now)
}

// watchFolders watches the tree and its anchors.
func (s *sensor) watchFolders(now time.Time) {
	if s.events.notifier == nil {
		return
	}
	s.tree.watch, s.tree.unwatch = s.events.add, s.events.remove
	before := s.anchors
	s.anchors = newAnchors(s.dir, s.tree.root)
	s.anchors.folders[filepath.Dir(s.marker.path)] = true
	for folder := range before.folders {
		if !s.anchors.folders[folder] {
			s.events.remove(folder)
		}
	}
	for folder := range s.anchors.folders {
		if err := s.events.add(folder); err != nil {
			s.fallBackToPolling(now, limitMessage(err))
			return
		}
	}
}

// fallBackToPolling stops using events.
func (s *sensor) fallBackToPolling(now time.Time, why string) {
	say.Fault(s.messages, "%s; polling every second, or less often in a large tree", why)
	s.poll = true
	s.scheduleScan(now, 0)
	s.close()
	if s.tree != nil {
		s.tree.watch, s.tree.unwatch = nil, nil
	}
}

// close closes the notifier.
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
