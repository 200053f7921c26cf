package certs

import (
	"fmt"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// ParseBindings reads [Keeper.Bindings] from lines with a URL, a key's id and the key. It leaves
// out empty lines and those that begin with #. An error repeats no key.
func ParseBindings(text string) (map[string]acme.EAB, error) {
	all := map[string]acme.EAB{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("line %d: want a URL, the id of a key, and the key", n)
		}
		all[words[0]] = acme.EAB{KeyID: words[1], MACKey: words[2]}
	}
	return all, nil
}
