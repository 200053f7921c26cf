package volume

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Event is one line of the audit log.
type Event struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`            // key name, or "server"
	Did  string    `json:"did"`           // verb: push, config:set, keys:add, ...
	App  string    `json:"app,omitempty"` //
	Note string    `json:"note,omitempty"`
}

// RoleCommand is who records events of commands on the server itself, which are processes of their
// own.
const RoleCommand = "command"

// maxEvents is the size of a file of events in bytes, some 25,000 of them. The one before it is kept.
const maxEvents = 4 << 20

// Record appends e to the events of role: [RoleGit], [RoleApp], [RoleSidecar] or [RoleCommand]. A role
// has its own file, events/<role>.jsonl, and renames it to end in .1 once it is full. Never pass it a
// secret.
func (v *Volume) Record(role string, e Event) error {
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

func (v *Volume) events() string { return filepath.Join(v.Root, "events") }

// record appends a line, unless somebody has renamed the file meanwhile, or it is full and renamed now:
// then done is false. Most roles have one writer, but any number of commands may run at once, so the
// file is locked.
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
		if last[0] != '\n' { // a power cut or a full disk has cut the line off
			line = append([]byte("\n"), line...)
		}
	}
	_, err = f.Write(line)
	return true, err
}

// flock waits for a lock on f, which ends with f.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// Events returns the last n events of app, or of everything if app is empty: those of all roles, and
// of the one file that earlier versions wrote, by time. It skips lines that make no sense. n is at
// least 1; up to three times as many are held in memory for each file.
func (v *Volume) Events(app string, n int) ([]Event, error) {
	entries, err := os.ReadDir(v.events())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	paths := []string{filepath.Join(v.Root, "events.jsonl")}
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

// eventsAt returns the last n events in the file at path and in the one before it.
func eventsAt(path, app string, n int) (events []Event, err error) {
	var files []*os.File
	for _, name := range []string{path, path + ".1"} { // so that a renaming meanwhile hides nothing
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
			if len(events) >= 2*n+1024 { // the file of an earlier version may hold far more
				events = slices.Clone(events[len(events)-n:])
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
