package git

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// What is in a worktree is kept in two files. The state file is a line of JSON that others read:
//
//	{"state":"settled","commit":"1f3b..."}
//
// state is "updating" or "settled"; commit is what is, or is becoming, there. Beside it, named
// after it and ending in .files, is the manifest: the paths that are ours, for the commit may be
// gone from the repository when the next one comes. It is the commit and a NUL, then entries as
// `git ls-files --stage -z` prints them.
//
// The manifest counts as the folder's content only where both are of one commit and the state is
// settled. While an update is under way it lists the files of both commits, of no commit. Where new
// folders are made it names them too, beforehand: a kill may leave them empty, for the next update to
// remove.
const (
	updating = "updating"
	settled  = "settled"
)

// state is the state file.
type state struct {
	State  string `json:"state"`
	Commit string `json:"commit"`
}

// holding is what is known to be in a worktree.
type holding struct {
	settled bool // else entries are what may be there, in whatever version
	commit  string
	entries map[string]entry
	folders []string // that may be there, and empty
}

// Commit is what the state file says: the commit that is in Dir, and settled; or the one that is
// being written, or was when an update was cut short, and not. It is empty where there was none.
func (w Worktree) Commit() (commit string, isSettled bool, err error) {
	s, err := w.state()
	return s.Commit, s.State == settled, err
}

func (w Worktree) state() (s state, err error) {
	content, err := os.ReadFile(w.State)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err == nil {
		if err = json.Unmarshal(content, &s); err != nil {
			err = fmt.Errorf("%s: %w", w.State, err)
		}
	}
	return s, err
}

func (w Worktree) manifest() string {
	return strings.TrimSuffix(w.State, filepath.Ext(w.State)) + ".files"
}

// recall reads what is in the worktree. Files that make no sense say nothing.
func (w Worktree) recall() (holding, error) {
	content, err := os.ReadFile(w.manifest())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return holding{}, err
	}
	h, ok := parseManifest(content)
	if !ok {
		return holding{}, nil
	}
	s, err := w.state()
	h.settled = err == nil && s == state{settled, h.commit}
	return h, nil
}

// announce says that folders are going to be made, which is no change of what is there.
func (w Worktree) announce(s *stage, before holding, folders []string) error {
	entries := slices.Collect(maps.Values(before.entries))
	return s.replace(w.manifest(), formatManifest(cmp.Or(before.commit, Zero), entries, folders))
}

// begin says that an update is under way, before the first file of it appears.
func (w Worktree) begin(s *stage, commit string, d difference) error {
	if d.added { // else the manifest that is there names all that will be ours
		if err := s.replace(w.manifest(), formatManifest(Zero, slices.Concat(d.after, d.gone), d.folders)); err != nil {
			return err
		}
	}
	return s.replace(w.State, state{updating, commit}.format())
}

// settle says that entries, the files of commit, are what is in the worktree.
func (w Worktree) settle(s *stage, commit string, entries []entry) error {
	if err := s.replace(w.manifest(), formatManifest(commit, entries, nil)); err != nil {
		return err
	}
	return s.replace(w.State, state{settled, commit}.format())
}

func (s state) format() []byte {
	content, err := json.Marshal(s)
	if err != nil {
		panic(err) // two strings
	}
	return append(content, '\n')
}

func formatManifest(commit string, entries []entry, folders []string) []byte {
	b := append([]byte(commit), 0)
	for _, dir := range folders {
		entries = append(entries, entry{path: dir, mode: filemode.Dir})
	}
	for _, e := range entries {
		b = strconv.AppendUint(b, uint64(e.mode), 8)
		b = append(b, ' ')
		b = hex.AppendEncode(b, e.hash[:])
		b = append(b, " 0\t"...)
		b = append(b, e.path...)
		b = append(b, 0)
	}
	return b
}

// parseManifest reads a manifest; ok is false where it is none.
func parseManifest(content []byte) (h holding, ok bool) {
	head, rest, ok := bytes.Cut(content, []byte{0})
	if !ok || !plumbing.IsHash(string(head)) {
		return holding{}, false
	}
	h = holding{commit: string(head), entries: make(map[string]entry, len(rest)/64)}
	for len(rest) > 0 {
		var record []byte
		if record, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return holding{}, false
		}
		e, ok := parseEntry(string(record))
		if !ok {
			return holding{}, false
		}
		if e.mode == filemode.Dir {
			h.folders = append(h.folders, e.path)
		} else {
			h.entries[e.path] = e
		}
	}
	return h, true
}

func parseEntry(record string) (e entry, ok bool) {
	head, name, _ := strings.Cut(record, "\t")
	mode, rest, _ := strings.Cut(head, " ")
	hash, stage, _ := strings.Cut(rest, " ")
	if stage != "0" || !plumbing.IsHash(hash) || name == "" {
		return entry{}, false
	}
	for part := range strings.SplitSeq(name, "/") {
		if !safeName(part) {
			return entry{}, false
		}
	}
	e = entry{path: name, hash: plumbing.NewHash(hash)}
	switch mode {
	case "100644":
		e.mode = filemode.Regular
	case "100755":
		e.mode = filemode.Executable
	case "120000":
		e.mode = filemode.Symlink
	case "40000":
		e.mode = filemode.Dir
	default:
		return entry{}, false
	}
	return e, true
}
