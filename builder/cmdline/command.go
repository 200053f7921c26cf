package cmdline

import "strings"

// Arguments returns the argument list for a command line of a Procfile. Plain words are run without
// a shell, so that signals reach the program; anything else is run by /bin/sh.
func Arguments(line string) []string {
	if words := strings.Fields(line); plain(line) && isCommand(words[0]) {
		return words
	}
	if replacesShell(line) {
		line = "exec " + line
	}
	return []string{"/bin/sh", "-c", line}
}

// plain reports whether the shell would take line as mere words.
func plain(line string) bool {
	for i := range len(line) {
		if !PlainByte(line[i]) && line[i] != ' ' && line[i] != '\t' {
			return false
		}
	}
	return strings.TrimSpace(line) != ""
}

// PlainByte reports whether c has no meaning to the shell, nor separates words.
func PlainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 ||
		strings.IndexByte("_./:=@%+,-", c) >= 0
}

// isCommand reports whether word, the first of a line, names a program: not an assignment, and
// nothing that only the shell knows (POSIX.1-2024, Shell Command Language, 2.4, 2.9.1.4, 2.15).
func isCommand(word string) bool {
	if !plain(word) || strings.Contains(word, "=") {
		return false
	}
	switch word {
	case "if", "for", "while", "until", "case", "function", "select", "time",
		".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return",
		"set",
		"shift", "times", "trap", "unset",
		"alias", "bg", "cd", "command", "fc", "fg", "getopts", "hash", "jobs", "local", "read",
		"source", "type", "ulimit", "umask", "unalias", "wait":
		return false
	}
	return true
}

// replacesShell reports whether "exec" can precede line without changing its meaning: it is one
// command with nothing but quotes, expansions and globs. Then no shell stays in between. It says no
// to anything doubtful: command substitutions, redirections, assignments.
func replacesShell(line string) bool {
	word, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	if !isCommand(word) {
		return false
	}
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'':
			if c == '\'' {
				quote = 0
			}
		case c == '\\':
			i++
		case c == '`' || c == '$' && i+1 < len(line) && line[i+1] == '(':
			return false
		case quote == '"':
			if c == '"' {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.IndexByte(";&|<>()\n\r", c) >= 0:
			return false
		}
	}
	return quote == 0
}

// Words returns the words of a command line that have no meaning to the shell, in order: what it
// may run, and arguments.
func Words(line string) []string {
	return strings.FieldsFunc(line, func(c rune) bool { return c < 0x80 && !PlainByte(byte(c)) })
}

// Quote quotes word for the shell and for [Arguments].
func Quote(word string) string {
	if plain(word) && !strings.ContainsAny(word, " \t") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
