package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/durable"
	"paas/nearest"
)

// Keys is the set of keys that may connect, one file per key: DIR/keys/<name>. It reads the files
// for every question, so a key that another process or a person adds or removes takes effect at
// once.
//
// It is safe for concurrent use. If two processes add the same name, only one succeeds. But checks
// that need all keys can race between processes: two that add the very first key both make an admin
// key, and two that each remove one of the last two admin keys leave none. Add on the server then
// adds a new one.
type Keys struct {
	Dir string       // private directory; the first Add creates it with mode 0700
	Log *slog.Logger // reports each file that is not a key once; default slog.Default()

	mu     sync.Mutex           // one Add or Remove at a time
	warnMu sync.Mutex           // guards warned
	warned map[string]time.Time // file -> modification time of the last report
}

const (
	keysFolder  = "keys"
	keyNameRule = "use a-z, 0-9 and . _ @ -, starting with a letter or a digit, at most 63 characters"
)

var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,62}$`)

// Add adds a key under a name. publicKey is one line in authorized_keys format. Options in front of
// the key are refused: Keys could not enforce their restrictions. The very first key becomes an
// admin key even if admin is false. It is an error if the name is bad or taken, if the key is
// already there under another name, if publicKey is not exactly one public key, or if the key is
// too weak.
func (k *Keys) Add(name string, publicKey []byte, admin bool) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !keyName.MatchString(name) {
		return Key{}, fmt.Errorf("%.80q is not a key name: %s", name, keyNameRule)
	}
	key, err := checkKey(publicKey)
	if err != nil {
		return Key{}, err
	}
	files, err := k.files()
	if err != nil {
		return Key{}, err
	}
	if slices.Contains(files, name) {
		return Key{}, errTaken(name)
	}
	if other, ok := k.Lookup(key.public); ok {
		return Key{}, fmt.Errorf("this key is here already, as %q", other.Name)
	}
	// An unreadable file is still somebody's key, so the next key is not the first one.
	key.Name, key.Admin = name, admin || len(files) == 0
	line := key.Line + "\n"
	if key.Admin {
		line = adminOption + " " + line
	}
	err = writeNew(k.Dir, filepath.Join(keysFolder, name), []byte(line))
	if errors.Is(err, fs.ErrExist) {
		return Key{}, errTaken(name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("add key %s: %w", name, err)
	}
	key.Added = time.Now()
	return key, nil
}

func errTaken(name string) error {
	return fmt.Errorf("there is a key named %q already; remove it first, or choose another name", name)
}

// Remove removes a key. Its open sessions go on; new ones are refused. The last admin key cannot be
// removed, because then nobody could add another one from outside.
func (k *Keys) Remove(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	files, err := k.files()
	if err != nil {
		return err
	}
	if !slices.Contains(files, name) {
		if near := nearest.Word(name, files); near != "" {
			return fmt.Errorf("no key named %.80q; did you mean %s?", name, near)
		}
		return fmt.Errorf("no key named %.80q", name)
	}
	keys, err := k.List()
	if err != nil {
		return err
	}
	admins := slices.DeleteFunc(keys, func(key Key) bool { return !key.Admin })
	if len(admins) == 1 && admins[0].Name == name {
		return fmt.Errorf("%s is the last admin key; add another admin first", name)
	}
	root, err := os.OpenRoot(filepath.Join(k.Dir, keysFolder))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil {
		return fmt.Errorf("remove key %s: %w", name, err)
	}
	return durable.SyncDir(root.Name())
}

// List returns all keys, sorted by name. It skips files that are not keys, and logs their names.
func (k *Keys) List() ([]Key, error) {
	files, err := k.files()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(k.Dir, keysFolder))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var keys []Key
	for _, name := range files {
		key, err := readKey(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since the folder was read
		case err != nil:
			k.warn(root, name, err)
		default:
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Lookup returns the entry of a public key. A certificate does not count as the key inside it. If a
// key has two files, made by hand, the first name wins.
func (k *Keys) Lookup(public gossh.PublicKey) (Key, bool) {
	keys, err := k.List()
	if err != nil {
		k.log().Error("cannot read the keys", "dir", k.Dir, "err", err)
		return Key{}, false
	}
	wire := public.Marshal()
	i := slices.IndexFunc(keys, func(key Key) bool { return bytes.Equal(key.public.Marshal(), wire) })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
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
		if e.Type().IsRegular() && keyName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readKey reads one file. It returns an error if the key has any option but "admin": Keys could not
// enforce it.
func readKey(root *os.Root, name string) (Key, error) {
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
	key, options, err := parseKey(text)
	if err != nil {
		return Key{}, err
	}
	if len(options) > 1 || len(options) == 1 && options[0] != adminOption {
		return Key{}, fmt.Errorf("options other than %q are not supported", adminOption)
	}
	key.Name, key.Admin, key.Added = name, len(options) == 1, info.ModTime()
	return key, nil
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
