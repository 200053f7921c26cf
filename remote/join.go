package remote

import "strings"

// Join returns the URL that rel means in a .gitmodules of the repository at base: rel itself, or if
// that begins with ./ or ../, a repository beside base or above (git-submodule(1), "add"). The error
// wraps [ErrURL] if rel leads above the host, or base is empty and rel needs it.
func Join(base, rel string) (string, error) {
	if !strings.HasPrefix(rel, "./") && !strings.HasPrefix(rel, "../") {
		return rel, CheckURL(rel)
	}
	from, err := parse(base)
	if err != nil {
		return "", errorf(ErrURL, "the URL %s is relative, and this server does not know to what; "+
			"write the whole URL", printable(rel))
	}
	url := strings.TrimRight(base, "/")
	for {
		if rest, ok := strings.CutPrefix(rel, "./"); ok {
			rel = rest
		} else if rest, ok := strings.CutPrefix(rel, "../"); ok {
			rel = rest
			// user@host:repository has a colon where the path begins
			url = url[:max(0, strings.LastIndexAny(url, "/:")+1)]
			url = strings.TrimSuffix(url, "/")
		} else {
			break
		}
	}
	if !strings.HasSuffix(url, ":") {
		url += "/"
	}
	url += rel
	to, err := parse(url)
	if err != nil || to.scheme != from.scheme || to.hostport() != from.hostport() ||
		to.user != from.user {
		return "", errorf(ErrURL, "the URL %s leads above the host of %s; write the whole URL",
			printable(rel), from)
	}
	return url, nil
}
