package access

import (
	"bufio"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AddAll adds each key of an authorized_keys text (sshd(8), "AUTHORIZED_KEYS FILE FORMAT") that is
// not there yet. It removes none. The key's comment becomes its name, or key-1, key-2 and so on if
// it has none. AddAll returns the added keys and the errors of all bad lines, with their numbers.
func (k *Keys) AddAll(text string) (added []Key, err error) {
	var errs []error
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, _, err := parseKey([]byte(line))
		if err == nil {
			if _, here := k.Lookup(key.public); here {
				continue
			}
			key, err = k.Add(k.freeName(key.Comment), []byte(line), false)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		added = append(added, key)
	}
	return added, errors.Join(append(errs, lines.Err())...)
}

// AddFile adds the keys of an authorized_keys text under a name. One key gets the name as [Keys.Add]
// gives it. Of several, those that are not there yet become name, name-2 and so on, as far as these
// are free; a line that is bad adds none, and the errors have the numbers of all such lines.
func (k *Keys) AddFile(name, text string, admin bool) (added []Key, err error) {
	var numbers []int
	var keys []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			numbers, keys = append(numbers, n), append(keys, line)
		}
	}
	if len(keys) == 1 {
		text = keys[0]
	}
	if len(keys) < 2 || strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "SSH2") {
		key, err := k.Add(name, []byte(text), admin)
		if err != nil {
			return nil, err
		}
		return []Key{key}, nil
	}
	var errs []error
	var missing []string
	for i, line := range keys {
		key, err := checkKey([]byte(line))
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", numbers[i], err))
		} else if _, here := k.Lookup(key.public); !here && !slices.Contains(missing, line) {
			missing = append(missing, line)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	files, err := k.files()
	if err != nil {
		return nil, err
	}
	free := name
	for _, line := range missing {
		for i := 2; slices.Contains(files, free); i++ {
			free = name + "-" + strconv.Itoa(i)
		}
		key, err := k.Add(free, []byte(line), admin)
		if err != nil {
			return added, err
		}
		added, files = append(added, key), append(files, free)
	}
	return added, nil
}

var notInName = regexp.MustCompile(`[^a-z0-9._@-]+`)

// freeName derives an unused key name from a comment such as alice@laptop.
func (k *Keys) freeName(comment string) string {
	name := notInName.ReplaceAllString(strings.ToLower(comment), "-")
	name = strings.Trim(name[:min(len(name), 50)], "._@-")
	files, _ := k.files() // Add reports the error
	free := name
	for i := 1; free == "" || slices.Contains(files, free); i++ {
		free = strings.TrimLeft(name+"-key-"+strconv.Itoa(i), "-")
	}
	return free
}
