package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Export is all keys, grants and tokens, for a backup.
type Export struct {
	Keys   []ExportedKey   `json:"keys"`
	Grants []ExportedGrant `json:"grants"`
	Tokens []Token         `json:"tokens"`
}

// ExportedKey is a key and whose it is, as in its file.
type ExportedKey struct {
	File string `json:"file"`
	Line string `json:"line"` // with options
}

// ExportedGrant is a right with the app of that identity.
type ExportedGrant struct {
	App   string `json:"app"`
	Who   string `json:"who"`
	Right Right  `json:"right"`
}

// Export returns all keys, grants and tokens. Files that make no sense are left out, and logged.
func (k *Keys) Export() (e Export, err error) {
	keys, err := k.list("")
	if err != nil {
		return e, err
	}
	for _, key := range keys {
		e.Keys = append(e.Keys, ExportedKey{key.file, key.options().String() + key.Line})
	}
	apps, err := os.ReadDir(filepath.Join(k.Dir, grantsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	for _, app := range apps {
		people, err := os.ReadDir(filepath.Join(k.Dir, grantsFolder, app.Name()))
		if err != nil {
			return e, err
		}
		for _, who := range people {
			right, err := Rights{k}.granted(app.Name(), who.Name(), None)
			if err != nil || right == None {
				k.log().Error("grant not read", "app", app.Name(), "who", who.Name(), "err", err)
				continue
			}
			e.Grants = append(e.Grants, ExportedGrant{app.Name(), who.Name(), right})
		}
	}
	e.Tokens, err = Tokens{k}.all()
	return e, err
}

// Check returns an error if a part of e is nothing that this package could have written.
func (e Export) Check() error {
	for _, key := range e.Keys {
		if !isKeyFile(key.File) || len(key.Line) > maxKeyText {
			return fmt.Errorf("%.80q has no name of a key", key.File)
		}
		if _, err := readKey([]byte(key.Line), true); err != nil {
			return fmt.Errorf("the key %s: %w", key.File, err)
		}
	}
	for _, g := range e.Grants {
		if !isAppID(g.App) || !isName(g.Who) || !g.Right.OnApp() {
			return fmt.Errorf("a grant of %.80q is none", g.Who)
		}
	}
	for _, t := range e.Tokens {
		id := len(t.ID) == 8 && only(t.ID, lower+digits)
		hash := len(t.SHA256) == 64 && only(t.SHA256, lower+digits)
		if !id || !hash || !isName(t.Name) || t.Owner != "" && !isName(t.Owner) || !t.Can.OnApp() ||
			slices.ContainsFunc(t.Apps, func(app string) bool { return !isAppID(app) }) {
			return fmt.Errorf("the token %.80q is none", t.Name)
		}
	}
	return nil
}

// Import adds what e has. People who are here already keep their keys and role, and get none of
// those of e, nor tokens; their names are returned. Calling it again is harmless.
func (k *Keys) Import(e Export) (here []string, err error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	if err := k.Migrate(); err != nil {
		return nil, err
	}
	unlock, err := lock(k.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	files, err := k.files()
	if err != nil {
		return nil, err
	}
	there, err := k.list("")
	if err != nil {
		return nil, err
	}
	isHere := func(name string) bool {
		return slices.ContainsFunc(files, func(f string) bool { return person(f) == name }) &&
			!k.same(name, there, e)
	}
	for _, key := range e.Keys {
		if name := person(key.File); isHere(name) {
			if !slices.Contains(here, name) {
				here = append(here, name)
			}
			continue
		}
		err = errors.Join(err, replace(k.Dir, filepath.Join(keysFolder, key.File), []byte(key.Line+"\n")))
	}
	for _, g := range e.Grants {
		err = errors.Join(err, Rights{k}.grant(g.App, g.Who, g.Right))
	}
	for _, t := range e.Tokens {
		if t.Owner == "" || !isHere(t.Owner) {
			err = errors.Join(err, Tokens{k}.write(t))
		}
	}
	return here, err
}

// same reports whether all keys that the person has here are those that e has of them, so that an
// import that was cut off goes on.
func (k *Keys) same(name string, there []Key, e Export) bool {
	for _, key := range there {
		line := key.options().String() + key.Line
		if key.Name == name && !slices.Contains(e.Keys, ExportedKey{key.file, line}) {
			return false
		}
	}
	return slices.ContainsFunc(there, func(key Key) bool { return key.Name == name })
}
