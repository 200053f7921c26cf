package access

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Adding is how keys are added.
type Adding struct {
	Name    string    // of the person; empty: each key's comment says it
	Role    Right     // Guest, Member or Admin, of a new person; None: Member
	Expires time.Time // zero: when the options of the key say so, or never
}

// Add adds the keys of a text in the format of authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE
// FORMAT") that are not there yet, and returns them. Keys of a person who is there already are added
// to theirs, and get their role. The options from= and expiry-time= are kept, and others refused.
// The very first key of a server is an admin's.
//
// It is an error if the name is bad, if a key is another person's, or if it is too weak. If a line
// is bad, none is added to a name; without a name, the other lines are. The errors have the numbers
// of all bad lines, if there are several.
func (k *Keys) Add(text string, a Adding) (added []Key, err error) {
	if a.Name != "" && !isName(a.Name) {
		return nil, fmt.Errorf("%.80q is not a key name: %s", a.Name, nameRule)
	}
	given, err := parseList(text, a.Name != "")
	if err != nil && a.Name != "" || len(given) == 0 {
		return nil, err
	}
	if err := k.Migrate(); err != nil {
		return nil, err
	}
	unlock, lockErr := lock(k.Dir)
	if lockErr != nil {
		return nil, lockErr
	}
	defer unlock()
	there, listErr := k.list("")
	files, filesErr := k.files()
	if err := errors.Join(listErr, filesErr); err != nil {
		return nil, err
	}
	for _, key := range given {
		name := a.Name
		if i := slices.IndexFunc(there, func(other Key) bool {
			return other.Fingerprint == key.Fingerprint
		}); i >= 0 {
			if name != "" && name != there[i].Name {
				return added, fmt.Errorf("this key is here already, as %q", there[i].Name)
			}
			continue
		}
		if name == "" {
			name = freeName(key.Comment, files)
		}
		key.Name = name
		i := slices.IndexFunc(there, func(other Key) bool { return other.Name == name })
		switch {
		case len(files) == 0: // an unreadable file is still somebody's key
			key.Role = Admin
		case i >= 0:
			key.Role = there[i].Role
		case a.Role != None:
			key.Role = a.Role
		}
		if !a.Expires.IsZero() {
			key.Expires = a.Expires
		}
		if !slices.ContainsFunc(files, func(f string) bool { return person(f) == name }) {
			if err := k.forget(name); err != nil { // of an earlier one, whose file somebody removed
				return added, err
			}
		}
		if err := k.write(&key, files); err != nil {
			return added, fmt.Errorf("add key %s: %w", name, err)
		}
		key.Added = time.Now()
		added, there, files = append(added, key), append(there, key), append(files, key.file)
	}
	return added, err
}

// RoleOf returns the role of a person; None: nobody has that name.
func (k *Keys) RoleOf(name string) (Right, error) {
	keys, err := k.list(name)
	if len(keys) == 0 || !isName(name) {
		return None, err
	}
	return keys[0].Role, err
}

// SetRole gives all keys of a person the role: Guest, Member or Admin.
func (k *Keys) SetRole(name string, role Right) error {
	if err := k.Migrate(); err != nil { // else a new member would have the rights of earlier versions
		return err
	}
	unlock, err := lock(k.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := k.knows(name); err != nil {
		return err
	}
	there, err := k.list("")
	if err != nil {
		return err
	}
	var changed, now []Key
	for _, key := range there {
		if key.Name == name {
			key.Role = role
			changed = append(changed, key)
		}
		now = append(now, key)
	}
	if err := lastAdmin(name, there, now); err != nil {
		return err
	}
	for _, key := range changed {
		if err := k.write(&key, nil); err != nil {
			return err
		}
	}
	return nil
}

// parseList parses the lines of a text that hold keys. If they are one person's, one line that is
// bad is named without its number.
func parseList(text string, onePersons bool) (keys []Key, err error) {
	if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "SSH2 PUBLIC KEY") {
		_, err := readKey([]byte(text), false)
		return nil, err
	}
	var errs []error
	n, found := 0, 0
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found++
		key, err := readKey([]byte(line), false)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if onePersons && found < 2 && len(keys) == 0 {
		_, err := readKey([]byte(text), false)
		return nil, err
	}
	return keys, errors.Join(errs...)
}

// freeName derives an unused name from a comment such as alice@laptop.
func freeName(comment string, files []string) string {
	words := strings.FieldsFunc(strings.ToLower(comment), func(r rune) bool {
		return !strings.ContainsRune(lower+digits+"._@-", r)
	})
	name := strings.Join(words, "-")
	name = strings.Trim(name[:min(len(name), 50)], "._@-")
	free := name
	for i := 1; free == "" || slices.Contains(files, free); i++ {
		free = strings.TrimLeft(name+"-key-"+strconv.Itoa(i), "-")
	}
	return free
}
