package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"paas/say"
)

// BrokenObject is an object that fails git's checks of received objects (transfer.fsckObjects).
type BrokenObject struct {
	Object string // "commit 1a2b3c4", or the path of a file or folder
	Why    string // git's message ID, such as hasDotgit; see git-fsck(1)
}

func (b *BrokenObject) Error() string { return fmt.Sprintf("%s is broken: %s", b.Object, b.Why) }

// Fsck checks a commit and everything in its tree, without its history, as git checks pushed
// objects. It is for places without git. has reports whether a file's object exists. The error is a
// [*BrokenObject] if git would refuse an object (fsck.c; [Repo.Command] has the exceptions), and
// wraps [plumbing.ErrObjectNotFound] if one is missing.
func (o *Objects) Fsck(ctx context.Context, commit string, has func(plumbing.Hash) bool) error {
	content, err := o.readObject(plumbing.CommitObject, plumbing.NewHash(commit), maxCommit)
	if err != nil {
		return fmt.Errorf("commit %s: %w", Short(commit), err)
	}
	if why := fsckCommit(content); why != "" {
		return &BrokenObject{"commit " + Short(commit), why}
	}
	c, err := o.Commit(commit)
	if err != nil {
		return err
	}
	type folder struct {
		hash plumbing.Hash
		path string
	}
	root := plumbing.NewHash(c.Tree)
	seen := map[plumbing.Hash]bool{root: true}
	for folders := []folder{{root, ""}}; len(folders) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		last := len(folders) - 1
		at := folders[last]
		folders = folders[:last]
		content, err := o.readObject(plumbing.TreeObject, at.hash, maxFolder)
		if err != nil {
			return fmt.Errorf("tree %s: %w", at.hash, err)
		}
		entries, why := fsckTree(content)
		if why != "" {
			return &BrokenObject{"the folder " + at.path + "/", why}
		}
		for _, e := range entries {
			name := path.Join(at.path, e.name)
			if err := o.fsckSpecial(e, name); err != nil {
				return err
			}
			switch {
			case seen[e.hash] || e.mode == filemode.Submodule: // its commits are elsewhere
			case e.mode == filemode.Dir:
				seen[e.hash] = true
				folders = append(folders, folder{e.hash, name})
			case !has(e.hash):
				return fmt.Errorf("%s is missing: %w", name, plumbing.ErrObjectNotFound)
			}
		}
	}
	return nil
}

// readObject returns the content of an object of type t with at most most bytes.
func (o *Objects) readObject(t plumbing.ObjectType, h plumbing.Hash, limit int64) (content []byte,
	err error) {
	err = o.retry(func() error {
		obj, err := o.EncodedObject(plumbing.AnyObject, h)
		switch {
		case err != nil:
			return err
		case obj.Type() != t:
			return &BrokenObject{h.String(), fmt.Sprintf("a %s where a %s is named", obj.Type(), t)}
		case obj.Size() > limit:
			return &BrokenObject{h.String(),
				fmt.Sprintf("a %s larger than %s", t, say.Limit(limit))}
		}
		r, err := obj.Reader()
		if err != nil {
			return err
		}
		content, err = io.ReadAll(io.LimitReader(r, limit))
		return errors.Join(err, r.Close())
	})
	return content, err
}

// treeEntry is an entry of a tree object.
type treeEntry struct {
	name string
	mode filemode.FileMode
	hash plumbing.Hash
}

// fsckTree parses a tree object. why is git's objection, or "" (fsck.c, fsck_tree).
func fsckTree(content []byte) (entries []treeEntry, why string) {
	names := map[string]bool{}
	for len(content) > 0 {
		head, rest, ok := bytes.Cut(content, []byte{0})
		mode, name, named := bytes.Cut(head, []byte{' '})
		if !ok || !named || len(name) == 0 || len(rest) < len(plumbing.ZeroHash) {
			return nil, "badTree"
		}
		number, err := strconv.ParseUint(string(mode), 8, 32)
		if err != nil || mode[0] < '0' || mode[0] > '7' {
			return nil, "badTree"
		}
		e := treeEntry{name: string(name), mode: filemode.FileMode(number)}
		copy(e.hash[:], rest)
		content = rest[len(e.hash):]
		switch {
		case e.hash.IsZero():
			return nil, "nullSha1: " + e.name
		case !safeName(e.name):
			return nil, nameProblem(e.name)
		case names[e.name]:
			return nil, "duplicateEntries: " + e.name
		case len(entries) > 0 && entries[len(entries)-1].sortKey() > e.sortKey():
			return nil, "treeNotSorted: " + e.name
		case e.mode == filemode.Symlink && anyNTFSPart(e.name, isDotGitmodules):
			return nil, "gitmodulesSymlink: " + e.name
		}
		names[e.name] = true
		entries = append(entries, e)
	}
	return entries, ""
}

// sortKey returns the name by which entries are sorted: folders as if they ended in a slash.
func (e treeEntry) sortKey() string {
	if e.mode == filemode.Dir {
		return e.name + "/"
	}
	return e.name
}

// nameProblem returns git's objection to a name that [safeName] refuses.
func nameProblem(name string) string {
	switch {
	case name == ".":
		return "hasDot"
	case name == "..":
		return "hasDotdot"
	case strings.Contains(name, "/"):
		return "fullPathname: " + name
	}
	return "hasDotgit: " + name
}

// fsckCommit returns git's objection to a commit object, or "" (fsck.c, fsck_commit).
func fsckCommit(content []byte) (why string) {
	header, _, ended := bytes.Cut(content, []byte("\n\n"))
	switch {
	case bytes.IndexByte(header, 0) >= 0:
		return "nulInHeader"
	case !ended && !bytes.HasSuffix(content, []byte("\n")):
		return "unterminatedHeader"
	}
	lines := bytes.Split(bytes.TrimSuffix(header, []byte("\n")), []byte("\n"))
	next := func(key string) (value string, ok bool) {
		if len(lines) == 0 {
			return "", false
		}
		v, ok := bytes.CutPrefix(lines[0], []byte(key+" "))
		if ok {
			lines = lines[1:]
		}
		return string(v), ok
	}
	if tree, ok := next("tree"); !ok {
		return "missingTree"
	} else if !plumbing.IsHash(tree) {
		return "badTreeSha1"
	}
	for parent, ok := next("parent"); ok; parent, ok = next("parent") {
		if !plumbing.IsHash(parent) {
			return "badParentSha1"
		}
	}
	author, ok := next("author")
	if !ok {
		return "missingAuthor"
	}
	if why := fsckIdent(author); why != "" {
		return why
	}
	if _, more := next("author"); more {
		return "multipleAuthors"
	}
	committer, ok := next("committer")
	if !ok {
		return "missingCommitter"
	}
	if why := fsckIdent(committer); why != "" {
		return why
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return "nulInCommit"
	}
	return ""
}

// fsckIdent returns git's objection to an author or committer such as "A <a@b> 1 +0000", or ""
// (fsck.c, fsck_ident).
func fsckIdent(ident string) (why string) {
	if ident != "" && ident[0] == '<' {
		return "missingNameBeforeEmail"
	}
	at := strings.IndexAny(ident, "<>")
	switch {
	case at < 0:
		return "missingEmail"
	case ident[at] == '>':
		return "badName"
	case ident[at-1] != ' ':
		return "missingSpaceBeforeEmail"
	}
	rest := ident[at+1:]
	at = strings.IndexAny(rest, "<>")
	if at < 0 || rest[at] != '>' {
		return "badEmail"
	}
	rest = rest[at+1:]
	if rest == "" || rest[0] != ' ' {
		return "" // missingSpaceBeforeDate, which is ignored
	}
	rest = strings.TrimLeft(rest, " \t") // git before 2.41 also skips the end of the line
	if len(rest) > 1 && rest[0] == '0' && rest[1] != ' ' {
		return "zeroPaddedDate"
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if _, err := strconv.ParseInt(rest[:digits], 10, 64); digits > 0 && err != nil {
		return "badDateOverflow"
	}
	if digits == 0 || digits == len(rest) || rest[digits] != ' ' {
		return "badDate"
	}
	return "" // badTimezone, which is ignored
}
