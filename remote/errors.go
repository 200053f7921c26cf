package remote

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// What a caller decides on. The errors that wrap these are one line that says what, why, and what
// to do next; they never hold a secret.
var (
	ErrAuth     = errors.New("not let in")             // token or key missing, wrong, or without access
	ErrNotFound = errors.New("no such repository")     // or one that is hidden from who asks
	ErrNoBranch = errors.New("no such branch")         // of a repository that is there; maybe an empty one
	ErrHostKey  = errors.New("host key not trusted")   // an ssh host that is unknown, or not who it was
	ErrTooLarge = errors.New("larger than is allowed") // more than a limit of [Client]
	ErrBroken   = errors.New("not as git has it")      // an object that git would not take from a push
	ErrTimeout  = errors.New("took too long")          // the other end was silent, or slow
	ErrURL      = errors.New("not a URL to follow")    // see [Check]
)

// errSaid is what a server said that we have no name for.
var errSaid = errors.New("refused")

// fault is an error whose words are whole without those of its kind.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// longest is how much of what a server says is repeated, in characters.
const longest = 200

// clean makes one printable line of what a server said: it may hold anything.
func clean(said string) string {
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, said))
	if runes := []rune(line); len(runes) > longest {
		line = string(runes[:longest]) + "..."
	}
	return line
}

// refusal is what a server said in place of an answer. Servers have no codes for this outside
// HTTP, so it goes by the words of git, GitHub, GitLab, Gitea, Bitbucket and Gerrit.
func refusal(said string) error {
	said = clean(said)
	low := strings.ToLower(said)
	for _, words := range []string{"not found", "does not appear to be a git", "does not exist", "could not be found",
		"no such repository", "not exported", "no such file", "not a git repository"} {
		if strings.Contains(low, words) {
			return faultf(ErrNotFound, "there is no such repository, or it is hidden from us (the server says: %s); check the URL, and that the key or token may read it", said)
		}
	}
	for _, words := range []string{"denied", "not authorized", "unauthorized", "no access", "not allowed", "authentication"} {
		if strings.Contains(low, words) {
			return faultf(ErrAuth, "the server does not let us in (it says: %s); check that the key or token may read the repository", said)
		}
	}
	return faultf(errSaid, "the server says: %s", said)
}
