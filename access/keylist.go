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
