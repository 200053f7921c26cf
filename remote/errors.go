package remote

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Errors that callers can test for. An error that wraps one of these is one line that says what
// happened, why, and what to do next. It never contains a secret.
var (
	// token or key missing, wrong or without access
	ErrAuth = errors.New("access denied")
	// or one hidden from this token or key
	ErrNotFound = errors.New("no such repository")
	// the repository exists; it may be empty
	ErrNoBranch = errors.New("no such branch")
	ErrIsTag    = errors.New("a tag, not a branch")
	ErrNoTag    = errors.New("no such tag")
	ErrNoCommit = errors.New("no such commit")
	// unknown SSH host, or its key has changed
	ErrHostKey  = errors.New("host key not trusted")
	ErrTooLarge = errors.New("larger than allowed") // exceeds a limit of [Client]
	// git would refuse an object in a push
	ErrBroken  = errors.New("commit fails git's checks")
	ErrTimeout = errors.New("timed out")                       // the server was silent or slow
	ErrURL     = errors.New("not the URL of a git repository") // see [CheckURL]
)

// errServer is any other error message of a server.
var errServer = errors.New("refused")

// kindError is an error that wraps its kind without repeating the kind's text.
type kindError struct {
	kind error
	text string
}

func (f *kindError) Error() string { return f.text }
func (f *kindError) Unwrap() error { return f.kind }

func errorf(kind error, format string, args ...any) error {
	return &kindError{kind, fmt.Sprintf(format, args...)}
}

// maxQuoted is how many characters of a server's message are repeated.
const maxQuoted = 200

// printable turns untrusted text into one printable line.
func printable(text string) string {
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text))
	if runes := []rune(line); len(runes) > maxQuoted {
		line = string(runes[:maxQuoted]) + "..."
	}
	return line
}

// serverError turns a server's error message into an error. Outside HTTP there are no error codes,
// so it recognises the wording of git, GitHub, GitLab, Gitea, Bitbucket and Gerrit.
func serverError(msg string) error {
	msg = printable(msg)
	low := strings.ToLower(msg)
	for _, words := range []string{"not found", "does not appear to be a git", "does not exist",
		"could not be found", "no such repository", "not exported", "no such file",
		"not a git repository"} {
		if strings.Contains(low, words) {
			return errorf(ErrNotFound,
				"no such repository, or no access to it (the server says: %s); check the URL, and "+
					"that the key or token may read it", msg)
		}
	}
	for _, words := range []string{"denied", "not authorized", "unauthorized", "no access",
		"not allowed", "authentication"} {
		if strings.Contains(low, words) {
			return errorf(ErrAuth,
				"access denied (the server says: %s); check that the key or token may read the "+
					"repository", msg)
		}
	}
	if strings.Contains(low, "not our ref") {
		return errorf(ErrNoCommit, "it has no such commit, or does not send one that no branch or "+
			"tag points at (the server says: %s)", msg)
	}
	return errorf(errServer, "the server says: %s", msg)
}
