package volume

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"paas/durable"
)

// Event is one line of the audit log.
type Event struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`             // name of a person, or "server"
	Via  string    `json:"via,omitempty"`  // the door: cli, ssh, git, https
	From string    `json:"from,omitempty"` // IP address
	With string    `json:"with,omitempty"` // "key SHA256:..." or "token <id>"
	Did  string    `json:"did"`            // verb: push, config:set, keys:add, ...
	App  string    `json:"app,omitempty"`
	Note string    `json:"note,omitempty"`
	End  End       `json:"end,omitempty"`
}

// End is how what somebody did ended.
type End string

const (
	OK      End = "ok"
	Began   End = "began" // what becomes of it is not recorded
	Broke   End = "failed"
	Refused End = "refused"
)

// Actor is who did something, and how they came: see [Event].
type Actor struct{ By, Via, From, With string }

// Event returns the event of what the actor did.
func (a Actor) Event(did, app, note string, end End) Event {
	return Event{
		By: a.By, Via: a.Via, From: a.From, With: a.With, Did: did, App: app, Note: note, End: end,
	}
}

// RoleCommand records the events of commands that run on the server itself, each in a process of
// its own.
const RoleCommand = "command"

// maxEvents is the size of a file of events in bytes: about 25,000 events. One older file is kept.
const maxEvents = 4 << 20

// Record appends e to the events of role: [RoleGit], [RoleApp], [RoleSidecar] or [RoleCommand].
// Each role has a file of its own, events/<role>.jsonl, which it renames to end in .1 once it is
// full. What was refused is in refused.jsonl, so that nobody can push out what was done. Never pass
// it a secret. It does nothing while recording is off: see [Volume.SetRecording].
func (v *Volume) Record(role string, e Event) error {
	if !v.Recording() {
		return nil
	}
	if e.End == Refused {
		role = string(Refused)
	}
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	path := filepath.Join(v.events(), role+".jsonl")
	for {
		done, err := v.record(path, append(line, '\n'))
		if done || err != nil {
			return err
		}
	}
}

// Recording reports whether events are recorded.
func (v *Volume) Recording() bool {
	_, err := os.Lstat(v.noEvents())
	return err != nil
}

// SetRecording turns the recording of events on or off, for all roles at once and across restarts.
func (v *Volume) SetRecording(on bool) error {
	if !on {
		return errors.Join(v.private(v.events()), v.WriteFile(v.noEvents(), nil, 0o600))
	}
	err := os.Remove(v.noEvents())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(v.events()))
}

// noEvents is the file that is there while recording is off.
func (v *Volume) noEvents() string { return filepath.Join(v.events(), "off") }

// FollowEvents tells the last n events of app, as [Volume.Events] does, and then those that come,
// within the interval between polls. It blocks until ctx ends, which is no error, or tell fails.
func (v *Volume) FollowEvents(
	ctx context.Context, app string, n int, tell func([]Event) error,
) error {
	tick := time.NewTicker(v.poll())
	defer tick.Stop()
	const most = 1000 // that many may come between two polls
	var known map[Event]bool
	var sizes string
	for {
		if now := v.eventSizes(); known == nil || now != sizes {
			last, err := v.Events(app, max(n, most))
			if err != nil {
				return err
			}
			sizes = now // from before they were read: what came since is found next time
			fresh := slices.DeleteFunc(slices.Clone(last), func(e Event) bool { return known[e] })
			if known == nil {
				fresh = fresh[max(0, len(fresh)-n):]
			}
			known = map[Event]bool{}
			for _, e := range last {
				known[e] = true
			}
			if err := tell(fresh); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// eventSizes changes when an event was recorded.
func (v *Volume) eventSizes() string {
	entries, _ := os.ReadDir(v.events()) // Events reports the error
	var sizes []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			sizes = append(sizes, fmt.Sprint(e.Name(), info.Size()))
		}
	}
	return strings.Join(sizes, " ")
}

func (v *Volume) events() string { return filepath.Join(v.Root, "events") }

// record appends a line; done is false if the file was renamed meanwhile, or was full and record
// has renamed it. It locks the file, because any number of commands may run at once.
func (v *Volume) record(path string, line []byte) (done bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return false, v.private(v.events())
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := flock(f, syscall.LOCK_EX); err != nil {
		return false, err
	}
	if !sameFile(f, path) {
		return false, nil
	}
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if size := info.Size(); size > 0 {
		if size+int64(len(line)) > cmp.Or(v.maxEvents, maxEvents) {
			return false, os.Rename(path, path+".1")
		}
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return false, err
		}
		if last[0] != '\n' { // a power cut or a full disk has cut off the last line
			line = append([]byte("\n"), line...)
		}
	}
	_, err = f.Write(line)
	return true, err
}

// flock waits for a lock on f, which ends when f is closed.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// Events returns the last n events of app, or of everything if app is empty, sorted by time: those
// of all roles. It skips lines that make no sense. n is at least 1.
func (v *Volume) Events(app string, n int) ([]Event, error) {
	entries, err := os.ReadDir(v.events())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(v.events(), strings.TrimSuffix(e.Name(), ".1")))
	}
	slices.Sort(paths)
	var all []Event
	for _, path := range slices.Compact(paths) {
		last, err := eventsAt(path, app, n)
		if err != nil {
			return nil, err
		}
		all = append(all, last...)
	}
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	return all[max(0, len(all)-n):], nil
}

// eventsAt returns the last n events of the file at path and of the older one beside it.
func eventsAt(path, app string, n int) (events []Event, err error) {
	var files []*os.File
	// in this order a rename in between hides nothing
	for _, name := range []string{path, path + ".1"} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if len(files) == 0 || !sameFile(files[0], name) {
			files = append(files, f)
		}
	}
	for _, f := range slices.Backward(files) {
		for lines := bufio.NewReader(f); ; {
			line, err := lines.ReadBytes('\n')
			var e Event
			if json.Unmarshal(line, &e) == nil && !e.At.IsZero() && (app == "" || e.App == app) {
				events = append(events, e)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return events[max(0, len(events)-n):], nil
}
