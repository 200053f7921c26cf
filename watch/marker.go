package watch

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// marker is worktree.json, which the writer of a worktree keeps beside it and replaces atomically.
// Its "state" is "updating" while files are written, and "settled" afterwards. Most trees have
// none.
type marker struct {
	path  string
	seen  stamp
	since time.Time // when this content was first seen
}

// markerPath returns the path of the marker for root: beside root, or beside the nearest folder at
// or above root that is named worktree.
func markerPath(root string) string {
	for dir := root; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "worktree" {
			return filepath.Join(dir, "..", "worktree.json")
		}
	}
	return filepath.Join(root, "..", "worktree.json")
}

// updating reports whether an update is in progress. After [maxBurst] without a change the marker
// is ignored: its writer must have died.
func (m *marker) updating(now time.Time) bool {
	state, seen := m.read()
	if seen != m.seen {
		m.seen, m.since = seen, now
	}
	return state == "updating" && now.Sub(m.since) < maxBurst
}

// read reads the state and the stamp of the file. It does not need the rest of the JSON.
func (m *marker) read() (state string, seen stamp) {
	seen, err := stampAt(unix.AT_FDCWD, m.path)
	if err != nil || seen.kind != unix.S_IFREG {
		return "", stamp{}
	}
	f, err := os.Open(m.path)
	if err != nil {
		return "", stamp{}
	}
	defer f.Close()
	return parseState(io.LimitReader(f, 4<<10)), seen
}

// parseState returns the string "state" of a JSON object, which may be truncated after it.
func parseState(r io.Reader) string {
	d := json.NewDecoder(r)
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return ""
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return ""
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return ""
		}
		if text, ok := value.(string); ok && key == "state" {
			return text
		}
	}
	return ""
}
