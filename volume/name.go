package volume

import (
	"errors"
	"fmt"
	"regexp"
)

// NamePattern is what an app may be called: a DNS label short enough to stand in front of a
// domain (RFC 1123, section 2.1), starting with a letter, at most 30 characters.
const NamePattern = `^[a-z][a-z0-9-]{0,29}$`

var namePattern = regexp.MustCompile(NamePattern)

// ErrName marks a name that no app can have.
var ErrName = errors.New("use a-z, 0-9 and -, start with a letter, at most 30 characters")

// CheckName says why name cannot be an app's, wrapping [ErrName], or nil.
func CheckName(name string) error {
	if namePattern.MatchString(name) && name[len(name)-1] != '-' {
		return nil
	}
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return fmt.Errorf("%q is not an app name: %w", name, ErrName)
}

// Nearest is the word of words closest to name by edit distance, for "did you mean"; empty where
// none is close enough to be what was meant (half of its letters wrong, three at most).
func Nearest(name string, words []string) string {
	best, distance := "", min(3, max(1, len(name)/2))+1
	for _, word := range words {
		if d := edits(name, word); d < distance {
			best, distance = word, d
		}
	}
	return best
}

// edits is the Levenshtein distance of a and b in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
