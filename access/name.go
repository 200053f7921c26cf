package access

import "strings"

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

	nameRule = "use a-z, 0-9 and . _ @ -, starting with a letter or a digit, at most 63 characters"
)

// only reports whether text has no other characters. Regular expressions would cost each command,
// and each of git's hooks, a third of a millisecond at its start.
func only(text, characters string) bool { return strings.Trim(text, characters) == "" }

// isName reports whether a person or a token can have that name, which is one of a file too.
func isName(name string) bool {
	return name != "" && len(name) <= 63 && only(name[:1], lower+digits) && only(name, lower+digits+"._@-")
}
