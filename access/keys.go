package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/nearest"
	"paas/volume"
)

// Keys is the set of keys that may connect, one file per key: DIR/keys/<name>, and <name>+2 and so
// on if a person has several. It reads the files for every question, so a key that another process
// or a person adds or removes takes effect at once.
//
// It is safe for concurrent use, by any number of processes.
type Keys struct {
	Dir    string         // private directory; the first Add creates it with mode 0700
	Volume *volume.Volume // has the apps on which keys of an earlier version have rights
	Log    *slog.Logger   // reports each file that is not a key once; default slog.Default()

	warnMu sync.Mutex           // guards warned
	warned map[string]time.Time // file -> modification time of the last report

	uses uses
}

const keysFolder = "keys"

// ErrUnknown is the error for a key that nobody has.
var ErrUnknown = errors.New("your key is unknown")

// person returns whose key the file has.
func person(file string) string {
	name, _, _ := strings.Cut(file, "+")
	return name
}

// isKeyFile reports whether a file of that name has a key.
func isKeyFile(file string) bool {
	name, n, second := strings.Cut(file, "+")
	return isName(name) && (!second || n != "" && len(n) < 5 && only(n, digits))
}

// Remove removes a person with all keys, grants and tokens, or the one key of that fingerprint. Its
// open sessions go on; new ones are refused. The last admin cannot be removed, because then nobody
// could add another one from outside.
func (k *Keys) Remove(name string) error {
	unlock, err := lock(k.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	files, err := k.files()
	if err != nil {
		return err
	}
	keys, err := k.list("")
	if err != nil {
		return err
	}
	owner, one := name, ""
	for _, key := range keys {
		if key.Fingerprint == name {
			owner, one = key.Name, key.file
		}
	}
	own := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return person(f) != owner })
	if len(own) == 0 {
		for i := range files {
			files[i] = person(files[i])
		}
		if near := nearest.Word(name, files); near != "" {
			return fmt.Errorf("no key named %.80q; did you mean %s?", name, near)
		}
		return fmt.Errorf("no key named %.80q", name)
	}
	gone := own
	if one != "" {
		gone = []string{one}
	}
	left := slices.DeleteFunc(slices.Clone(keys), func(key Key) bool { return slices.Contains(gone, key.file) })
	if err := lastAdmin(owner, keys, left); err != nil {
		return err
	}
	if len(gone) == len(own) { // first, so that nobody of that name finds what this person had
		err = k.forget(owner)
	}
	for _, file := range gone {
		if err == nil {
			err = remove(k.Dir, filepath.Join(keysFolder, file))
		}
	}
	return err
}

// lastAdmin returns an error if there was an admin before, and none is left.
func lastAdmin(name string, before, left []Key) error {
	isAdmin := func(key Key) bool {
		return key.Role == Admin && (key.Expires.IsZero() || time.Now().Before(key.Expires))
	}
	if slices.ContainsFunc(before, isAdmin) && !slices.ContainsFunc(left, isAdmin) {
		return fmt.Errorf("%s is the last admin; add another admin first", name)
	}
	return nil
}

// forget removes what a person has besides keys.
func (k *Keys) forget(name string) error {
	return errors.Join(k.forgetGrants(name), k.forgetTokens(name))
}

// List returns all keys, sorted by name. It skips files that are not keys, and logs their names. A
// person whose files differ in the role has the least of these roles.
func (k *Keys) List() ([]Key, error) {
	keys, err := k.list("")
	for i := range keys {
		keys[i].Used = k.uses.last(k.Dir, keys[i].Fingerprint)
	}
	return keys, err
}

// list returns the keys of a person, or all if name is empty.
func (k *Keys) list(name string) ([]Key, error) {
	files, err := k.files()
	if name != "" {
		files = slices.DeleteFunc(files, func(f string) bool { return person(f) != name })
	}
	if err != nil || len(files) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(k.Dir, keysFolder))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var keys []Key
	roles := map[string]Right{}
	for _, file := range files {
		key, err := readFile(root, file)
		if errors.Is(err, fs.ErrNotExist) { // removed just now
			continue
		}
		if err != nil {
			k.warn(root, file, err)
			continue
		}
		if role, ok := roles[key.Name]; !ok || key.Role < role {
			roles[key.Name] = key.Role
		}
		keys = append(keys, key)
	}
	for i := range keys {
		keys[i].Role = roles[keys[i].Name]
	}
	return keys, nil
}

// Lookup returns the holder of a public key who comes from an address. A certificate does not count
// as the key inside it. If a key has two files, made by hand, the first name wins. The error is
// [ErrUnknown], or says for the holder why the key does not count now.
func (k *Keys) Lookup(public gossh.PublicKey, from netip.Addr) (Identity, Right, error) {
	key, err := k.find(public)
	if err != nil {
		return Identity{}, None, err
	}
	who := Identity{Name: key.Name, From: from, Key: key.Fingerprint}
	return who, key.Role, key.options().usable(from)
}

func (k *Keys) find(public gossh.PublicKey) (Key, error) {
	keys, err := k.list("")
	if err != nil {
		k.log().Error("cannot read the keys", "dir", k.Dir, "err", err)
		return Key{}, ErrUnknown
	}
	wire := public.Marshal()
	i := slices.IndexFunc(keys, func(key Key) bool { return bytes.Equal(key.public.Marshal(), wire) })
	if i < 0 {
		return Key{}, ErrUnknown
	}
	return keys[i], nil
}

// files returns the names of the files that can be keys, sorted.
func (k *Keys) files() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(k.Dir, keysFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		// Opening a pipe would block for ever, and a link could point anywhere.
		if e.Type().IsRegular() && isKeyFile(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readFile reads the key of one file.
func readFile(root *os.Root, name string) (Key, error) {
	f, err := root.Open(name)
	if err != nil {
		return Key{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Key{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyText+1))
	if err != nil {
		return Key{}, err
	}
	key, err := readKey(text, true)
	key.Name, key.file, key.Added = person(name), name, info.ModTime()
	return key, err
}

// write stores the key in a file of its own. Without a file it gets a free one.
func (k *Keys) write(key *Key, taken []string) error {
	if key.file == "" {
		key.file = key.Name
		for i := 2; slices.Contains(taken, key.file); i++ {
			key.file = key.Name + "+" + strconv.Itoa(i)
		}
	}
	line := key.options().String() + key.Line + "\n"
	return replace(k.Dir, filepath.Join(keysFolder, key.file), []byte(line))
}

func (k *Keys) log() *slog.Logger {
	if k.Log == nil {
		return slog.Default()
	}
	return k.Log
}

// warn logs that a file is not a key, once after each change of the file. Without that limit each
// login attempt would log it.
func (k *Keys) warn(root *os.Root, name string, reason error) {
	info, err := root.Stat(name)
	if err != nil {
		return
	}
	k.warnMu.Lock()
	defer k.warnMu.Unlock()
	if k.warned == nil {
		k.warned = map[string]time.Time{}
	}
	if at, ok := k.warned[name]; ok && at.Equal(info.ModTime()) {
		return
	}
	k.warned[name] = info.ModTime()
	k.log().Warn("not a key; skipped", "file", filepath.Join(root.Name(), name), "err", reason)
}
