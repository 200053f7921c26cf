package watch

import "strings"

// pattern is a line of a .gitignore file (gitignore(5)). go-git's package is not used because it
// takes a pattern for a folder as a pattern for everything below, so that the usual "*", "!*/",
// "!*.js" would watch every file. Unlike in git, a slash ends a set in brackets.
type pattern struct {
	negated     bool     // "!": not ignored
	foldersOnly bool     // ends in "/"
	nameOnly    bool     // has no other "/": matches the last element of any path
	globs       []string // one per element of the path; "**" matches any number of them
}

// parsePattern parses a line. ok is false for empty lines and comments.
func parsePattern(line string) (p pattern, ok bool) {
	line = strings.TrimSuffix(line, "\r")
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.foldersOnly = strings.CutSuffix(line, "/")
	p.nameOnly = !strings.Contains(line, "/")
	p.globs = strings.Split(strings.TrimPrefix(line, "/"), "/")
	if n := len(p.globs); !p.nameOnly && isDoubleStar(p.globs[n-1]) {
		// "a/**" matches everything in a, but not a itself
		p.globs = append(p.globs[:n-1], "*", "**")
	}
	return p, line != ""
}

func parsePatterns(text string) []pattern {
	var list []pattern
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if p, ok := parsePattern(strings.TrimSuffix(line, "\n")); ok {
			list = append(list, p)
		}
	}
	return list
}

// matches reports whether the pattern matches a path, given by its elements relative to the
// pattern's file. The caller handles everything below a matching folder.
func (p pattern) matches(path []string, isFolder bool) bool {
	if p.foldersOnly && !isFolder {
		return false
	}
	if p.nameOnly {
		return globMatches(p.globs[0], path[len(path)-1])
	}
	// On a mismatch, let the last ** match one more element.
	globs, again, rest := p.globs, []string(nil), []string(nil)
	for len(path) > 0 {
		switch {
		case len(globs) > 0 && isDoubleStar(globs[0]):
			globs = globs[1:]
			again, rest = globs, path
		case len(globs) > 0 && globMatches(globs[0], path[0]):
			globs, path = globs[1:], path[1:]
		case rest != nil:
			rest = rest[1:]
			globs, path = again, rest
		default:
			return false
		}
	}
	return len(globs) == 0 || len(globs) == 1 && isDoubleStar(globs[0])
}

// isDoubleStar reports whether a glob is "**", or more stars.
func isDoubleStar(glob string) bool { return len(glob) > 1 && strings.Trim(glob, "*") == "" }

// globMatches matches one element of a path, byte by byte, like git's wildmatch. On a mismatch the
// last * matches one more byte, so the time is at most the product of the lengths.
func globMatches(glob, name string) bool {
	again, rest := -1, 0
	g, n := 0, 0
	for n < len(name) {
		if g < len(glob) && glob[g] == '*' {
			g++
			again, rest = g, n
			continue
		}
		if size, ok := matchOne(glob[g:], name[n]); ok {
			g += size
			n++
			continue
		}
		if again < 0 {
			return false
		}
		rest++
		g, n = again, rest
	}
	return strings.Trim(glob[g:], "*") == ""
}

// matchOne matches c with the first unit of glob, which has size bytes.
func matchOne(glob string, c byte) (size int, ok bool) {
	switch {
	case glob == "":
		return 0, false
	case glob[0] == '?':
		return 1, true
	case glob[0] == '[':
		return matchClass(glob, c)
	case glob[0] == '\\':
		return 2, len(glob) > 1 && glob[1] == c
	}
	return 1, glob[0] == c
}

// matchClass matches c with the set in brackets that glob begins with. A set without an end matches
// nothing.
func matchClass(glob string, c byte) (size int, ok bool) {
	i, not := 1, false
	if i < len(glob) && (glob[i] == '!' || glob[i] == '^') {
		i, not = i+1, true
	}
	for first := true; i < len(glob) && (glob[i] != ']' || first); first = false {
		if name, _, found := strings.Cut(glob[i:], ":]"); found && strings.HasPrefix(name, "[:") {
			ok = ok || inClass(name[2:], c)
			i += len(name) + 2
			continue
		}
		low, next := classMember(glob, i)
		high := low
		if next+1 < len(glob) && glob[next] == '-' && glob[next+1] != ']' {
			high, next = classMember(glob, next+1)
		}
		ok = ok || low <= c && c <= high
		i = next
	}
	return i + 1, i < len(glob) && ok != not
}

// classMember returns the next byte of a set, and the index after it.
func classMember(glob string, i int) (c byte, next int) {
	if glob[i] == '\\' && i+1 < len(glob) {
		i++
	}
	return glob[i], i + 1
}

// inClass reports whether c is in a POSIX class, for ASCII.
func inClass(name string, c byte) bool {
	lower, upper, digit := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
	graph := 0x20 < c && c < 0x7f
	switch name {
	case "alnum":
		return lower || upper || digit
	case "alpha":
		return lower || upper
	case "blank":
		return c == ' ' || c == '\t'
	case "cntrl":
		return c < 0x20 || c == 0x7f
	case "digit":
		return digit
	case "graph":
		return graph
	case "lower":
		return lower
	case "print":
		return graph || c == ' '
	case "punct":
		return graph && !lower && !upper && !digit
	case "space":
		return c == ' ' || 0x09 <= c && c <= 0x0d
	case "upper":
		return upper
	case "xdigit":
		return digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return false
}
