package watch

import "strings"

// pattern is one line of a .gitignore file (gitignore(5)). go-git's package of that name is not
// used: it takes a pattern that names a folder for one that names everything below, so that the
// usual "*", "!*/", "!*.js" would watch every file. Unlike git's, a slash in brackets ends them.
type pattern struct {
	keep   bool     // "!": not ignored after all
	folder bool     // ends in "/": folders alone
	name   bool     // has no other "/": about the last element, wherever it is
	globs  []string // one an element of the path; "**" is any number of them
}

// parsePattern reads a line; ok is false where it says nothing.
func parsePattern(line string) (p pattern, ok bool) {
	line = strings.TrimSuffix(line, "\r")
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	line, p.keep = strings.CutPrefix(line, "!")
	line, p.folder = strings.CutSuffix(line, "/")
	p.name = !strings.Contains(line, "/")
	p.globs = strings.Split(strings.TrimPrefix(line, "/"), "/")
	if n := len(p.globs); !p.name && stars(p.globs[n-1]) {
		p.globs = append(p.globs[:n-1], "*", "**") // "a/**" is all in a, not a itself
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

// matches says whether the pattern is about the path, given by its elements below the folder of
// the pattern's file. What is below a path that matches is for the caller.
func (p pattern) matches(path []string, isFolder bool) bool {
	if p.folder && !isFolder {
		return false
	}
	if p.name {
		return globMatches(p.globs[0], path[len(path)-1])
	}
	// The last ** that was passed takes one element more each time what follows does not match.
	globs, again, rest := p.globs, []string(nil), []string(nil)
	for len(path) > 0 {
		switch {
		case len(globs) > 0 && stars(globs[0]):
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
	return len(globs) == 0 || len(globs) == 1 && stars(globs[0])
}

// stars says whether a glob is nothing but "**", or more of them.
func stars(glob string) bool { return len(glob) > 1 && strings.Trim(glob, "*") == "" }

// globMatches is wildmatch of git on one element of a path, byte by byte as there. The last * that
// was passed takes one byte more each time, so that no pattern takes longer than the product of
// both lengths.
func globMatches(glob, name string) bool {
	again, rest := -1, 0
	g, n := 0, 0
	for n < len(name) {
		if g < len(glob) && glob[g] == '*' {
			g++
			again, rest = g, n
			continue
		}
		if size, ok := oneMatches(glob[g:], name[n]); ok {
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

// oneMatches compares c with what glob begins with, which is size bytes long.
func oneMatches(glob string, c byte) (size int, ok bool) {
	switch {
	case glob == "":
		return 0, false
	case glob[0] == '?':
		return 1, true
	case glob[0] == '[':
		return classMatches(glob, c)
	case glob[0] == '\\':
		return 2, len(glob) > 1 && glob[1] == c
	}
	return 1, glob[0] == c
}

// classMatches compares c with the set in brackets that glob begins with. One that does not end
// matches nothing.
func classMatches(glob string, c byte) (size int, ok bool) {
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
		low, next := member(glob, i)
		high := low
		if next+1 < len(glob) && glob[next] == '-' && glob[next+1] != ']' {
			high, next = member(glob, next+1)
		}
		ok = ok || low <= c && c <= high
		i = next
	}
	return i + 1, i < len(glob) && ok != not
}

// member is one byte of a set, and where the next begins.
func member(glob string, i int) (c byte, next int) {
	if glob[i] == '\\' && i+1 < len(glob) {
		i++
	}
	return glob[i], i + 1
}

// inClass knows the names of POSIX, for ASCII.
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
