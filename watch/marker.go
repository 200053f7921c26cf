package watch

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the file that whoever keeps a worktree puts beside it, worktree.json, and replaces
// whole: its "state" is "updating" while files are being written, and "settled" after that. Most
// trees have none.
type marker struct {
	path  string
	seen  stamp
	since time.Time // when it was first seen so
}

// markerPath is where the marker of the tree at root is: beside the nearest folder named worktree,
// root or above it, else beside root.
func markerPath(root string) string {
	for dir := root; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "worktree" {
			return filepath.Join(dir, "..", "worktree.json")
		}
	}
	return filepath.Join(root, "..", "worktree.json")
}

// updating says whether files are on their way. A marker that has said so for [longest] is not
// believed any more: who wrote it is gone.
func (m *marker) updating(now time.Time) bool {
	state, seen := m.read()
	if seen != m.seen {
		m.seen, m.since = seen, now
	}
	return state == "updating" && now.Sub(m.since) < longest
}

// read does not read far: after the two keys comes much that is not for us.
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
	return stateIn(io.LimitReader(f, 4<<10)), seen
}

// stateIn is the text at the key "state" of a JSON object, which may break off after it.
func stateIn(r io.Reader) string {
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
