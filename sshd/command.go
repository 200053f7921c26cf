package sshd

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"paas/say"
)

// maxCommand is the maximum length of a command in bytes. It includes config vars; larger values
// can be passed on standard input.
const maxCommand = 64 << 10

// command is a parsed request: a git service for an app, a line of the command table, or, if both
// are empty, a shell.
type command struct {
	service string   // "git-receive-pack", "git-upload-pack" or ""
	app     string   // a valid name; only with service
	args    []string // command and arguments; only without service
}

// gitCommand matches what git sends for a push or a fetch: the path is in single quotes (git's
// quote.c), which some other clients omit. It accepts any app name, so that the error can be about
// the name.
var gitCommand = regexp.MustCompile(
	`^git[- ](receive|upload)-pack (?:'/?([^']*?)(?:\.git)?/?'|/?([^'\s]*?)(?:\.git)?/?)$`)

// parseCommand parses raw, the text of an exec request (RFC 4254, 6.5). check returns an error for
// an invalid app name. Errors are for the person at the client.
func parseCommand(raw string, check func(string) error) (command, error) {
	if len(raw) > maxCommand {
		return command{}, fmt.Errorf("the command is too long: %d bytes, at most %d", len(raw),
			maxCommand)
	}
	if m := gitCommand.FindStringSubmatch(raw); m != nil {
		app := m[2] + m[3] // one of them is empty
		if err := check(app); err != nil {
			return command{}, err
		}
		return command{service: "git-" + m[1] + "-pack", app: app}, nil
	}
	if !utf8.ValidString(raw) || strings.ContainsRune(raw, 0) {
		return command{}, errors.New("the command is not UTF-8 text")
	}
	args, err := splitWords(raw)
	if err != nil || len(args) == 0 {
		return command{}, err
	}
	switch first := path.Base(args[0]); {
	case strings.HasPrefix(first, "git-lfs-"): // its hook asks before a push where to send the files
		return command{}, errors.New(say.NoLFS)
	case first == "git", strings.HasPrefix(first, "git-"), strings.HasPrefix(args[0], "git-"):
		return command{}, fmt.Errorf("%.60q is not supported: use git push and git fetch with an "+
			"app's URL, such as ssh://HOST:PORT/APP", raw)
	case first == "scp", first == "rsync", first == "sftp", first == "sftp-server":
		return command{}, fmt.Errorf("%s is not supported: send files with git push", first)
	}
	return command{args: args}, nil
}

// splitWords splits a command into words as a POSIX shell does, but without any other syntax:
// single quotes, double quotes and backslashes quote, all other characters are literal. The
// splitter in gliderlabs/ssh drops empty words and accepts an unterminated quote, and so would run
// half of what was typed.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune // the open quote, or 0
	open, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			// Inside double quotes a backslash escapes only these (POSIX 2.2.3).
			if quote == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			open, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			open, quote = true, r
		case unicode.IsSpace(r):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			open = true
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the command has an unmatched %c", quote)
	}
	if escaped {
		return nil, errors.New("the command ends in a backslash")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
