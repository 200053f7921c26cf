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

// Two files record the content of a worktree. The state file is one line of JSON that other
// programs may read:
//
//	{"state":"settled","commit":"1f3b..."}
//
// state is "updating" or "settled"; commit is the commit that is, or is being, written. Beside it
// lies the manifest, with the same name but the extension .files. It lists the files that we wrote,
// because their commit may no longer be in the repository at the next update. It consists of the
// commit, a NUL, and entries in the format of `git ls-files --stage -z`.
//
// The manifest describes the folder only if the state is settled and both name the same commit.
// During an update it lists the files of both commits, and names none. Before new folders are made
// it lists them too, so that the next update can remove those that a kill left empty.
const (
	updating = "updating"
	settled  = "settled"
)

// state is the state file.
type state struct {
	State  string `json:"state"`
	Commit string `json:"commit"`
}

// worktreeContent is what is recorded about a worktree.
type worktreeContent struct {
	settled bool // else files may be missing or in any version
	commit  string
	entries map[string]entry
	folders []string // folders that may exist and be empty
}

// Commit returns what the state file says: the commit in Dir and true, or the commit of an
// unfinished update and false, or "" if there was none.
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

// load reads the manifest and the state. An invalid manifest counts as empty.
func (w Worktree) load() (worktreeContent, error) {
	content, err := os.ReadFile(w.manifest())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return worktreeContent{}, err
	}
	h, ok := parseManifest(content)
	if !ok {
		return worktreeContent{}, nil
	}
	s, err := w.state()
	h.settled = err == nil && s == state{settled, h.commit}
	return h, nil
}

// announceFolders records folders that will be made.
func (w Worktree) announceFolders(s *stage, before worktreeContent, folders []string) error {
	entries := slices.Collect(maps.Values(before.entries))
	return s.replace(w.manifest(), formatManifest(cmp.Or(before.commit, Zero), entries, folders))
}

// begin records the start of an update, before its first file appears.
func (w Worktree) begin(s *stage, commit string, d difference) error {
	if d.added { // else the existing manifest already lists all files
		if err := s.replace(w.manifest(), formatManifest(Zero, slices.Concat(d.after, d.removed),
			d.folders)); err != nil {
			return err
		}
	}
	return s.replace(w.State, state{updating, commit}.format())
}

// finish records that the worktree contains entries, the files of commit.
func (w Worktree) finish(s *stage, commit string, entries []entry) error {
	if err := s.replace(w.manifest(), formatManifest(commit, entries, nil)); err != nil {
		return err
	}
	return s.replace(w.State, state{settled, commit}.format())
}

func (s state) format() []byte {
	content, _ := json.Marshal(s) // cannot fail with two strings
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

// parseManifest parses a manifest.
func parseManifest(content []byte) (h worktreeContent, ok bool) {
	head, rest, ok := bytes.Cut(content, []byte{0})
	if !ok || !plumbing.IsHash(string(head)) {
		return worktreeContent{}, false
	}
	h = worktreeContent{commit: string(head), entries: make(map[string]entry, len(rest)/64)}
	for len(rest) > 0 {
		var record []byte
		if record, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return worktreeContent{}, false
		}
		e, ok := parseEntry(string(record))
		if !ok {
			return worktreeContent{}, false
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
