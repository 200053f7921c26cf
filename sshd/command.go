package sshd

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxCommand is how long a command may be, in bytes. Config vars come this way too; larger values
// belong on standard input.
const maxCommand = 64 << 10

// command is what a session asked for: a git service on an app, or a line of the command table.
// With neither it asked for a shell.
type command struct {
	service string   // "git-receive-pack" or "git-upload-pack"; empty for a verb
	app     string   // a checked name; set with service
	args    []string // the verb and its arguments; empty with service
}

// gitCommand is what git sends for a push or a fetch: the path in single quotes (quote.c of git),
// which some other clients leave out. The name is anything here, so that the one who typed it
// gets an answer about the name.
var gitCommand = regexp.MustCompile(`^git[- ](receive|upload)-pack (?:'/?([^']*?)(?:\.git)?/?'|/?([^'\s]*?)(?:\.git)?/?)$`)

// parseCommand decides what raw, the text of an exec request (RFC 4254, 6.5), asks for. check
// says what is wrong with an app name. The errors are for the person at the other end.
func parseCommand(raw string, check func(string) error) (command, error) {
	if len(raw) > maxCommand {
		return command{}, fmt.Errorf("the command is too long: %d bytes, at most %d", len(raw), maxCommand)
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
	args, err := split(raw)
	if err != nil || len(args) == 0 {
		return command{}, err
	}
	switch first := path.Base(args[0]); {
	case first == "git", strings.HasPrefix(first, "git-"), strings.HasPrefix(args[0], "git-"):
		return command{}, fmt.Errorf("%.60q is not served here: this remote takes git push and git fetch of an app, as in ssh://HOST/APP", raw)
	case first == "scp", first == "rsync", first == "sftp", first == "sftp-server":
		return command{}, fmt.Errorf("%s is not served here: send files with git push", first)
	}
	return command{args: args}, nil
}

// split cuts a command into words as a POSIX shell would, and does nothing else that a shell
// does: single quotes, double quotes and backslashes hold a word together, all other characters
// mean themselves. The splitter in gliderlabs/ssh loses empty words and forgives an open quote,
// which would run half of what was typed.
func split(line string) ([]string, error) {
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
		return nil, fmt.Errorf("the command has a %c without its partner", quote)
	}
	if escaped {
		return nil, errors.New("the command ends in a backslash")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
