package remote

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Remote is a git repository on another server, and the credentials for it.
type Remote struct {
	URL        string // https://, http://, ssh://, git:// or user@host:path; see [CheckURL]
	Token      string // password or access token for HTTP; the user is the URL's, else "git"
	Key        []byte // private key for SSH in OpenSSH's PEM format, without a passphrase
	KnownHosts []byte // lines of an OpenSSH known_hosts file; other host keys are refused
}

const (
	maxURL  = 2048 // bytes
	example = "use a URL like https://host/me/repository.git or git@host:me/repository.git"
)

// CheckURL returns an error that wraps [ErrURL] if url is not valid for [Remote]. The error never
// repeats a password. CheckURL does not connect to the host.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

// IsSSH reports whether url is valid and uses SSH, with a key and known hosts instead of a token.
func IsSSH(url string) bool {
	at, err := parse(url)
	return err == nil && at.scheme == "ssh"
}

// address is a parsed URL.
type address struct {
	scheme string // http, https, ssh, git
	user   string // may be empty
	host   string // without brackets
	port   string // never empty
	path   string // as sent to the server; for HTTP escaped and without a trailing slash
}

// hostport returns the address to dial.
func (a address) hostport() string { return net.JoinHostPort(a.host, a.port) }

// String returns the URL without user and default port, for messages.
func (a address) String() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != ports[a.scheme] {
		host += ":" + a.port
	}
	return a.scheme + "://" + host + "/" + strings.TrimPrefix(a.path, "/")
}

var ports = map[string]string{"http": "80", "https": "443", "ssh": "22", "git": "9418"}

// tokenPrefixes are the beginnings of access tokens. People put them in place of the user name:
// https://TOKEN@github.com/... is a common recipe.
var tokenPrefixes = []string{"ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-"}

func invalidURL(format string, args ...any) (address, error) {
	return address{}, errorf(ErrURL, format, args...)
}

func parse(raw string) (address, error) {
	switch {
	case raw == "":
		return invalidURL("the URL is empty; %s", example)
	case len(raw) > maxURL:
		return invalidURL("the URL is longer than %d bytes; %s", maxURL, example)
	case strings.HasPrefix(raw, "-"):
		return invalidURL("a URL must not begin with a dash; %s", example)
	case strings.ContainsFunc(raw, func(r rune) bool {
		return unicode.IsSpace(r) ||
			!unicode.IsPrint(r) || r == unicode.ReplacementChar
	}):
		return invalidURL("the URL contains a space or an unprintable character; %s", example)
	}
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return parseSCP(raw)
	}
	scheme = strings.ToLower(scheme)
	if ports[scheme] == "" {
		// anything is possible, even a password
		if strings.ContainsAny(scheme, "@/") || len(scheme) > 20 {
			return invalidURL("the URL's scheme must be https, http, ssh or git; %s", example)
		}
		return invalidURL("%s:// is not supported, only https, http, ssh and git are; %s", scheme,
			example)
	}
	if strings.ContainsAny(raw, "?#") {
		return invalidURL("the URL of a repository has no ? or #; %s", example)
	}
	u, err := url.Parse(raw)
	if err != nil { // err repeats the URL with its password
		return invalidURL("not a URL; %s", example)
	}
	return parseAbsolute(scheme, u)
}

func parseAbsolute(scheme string, u *url.URL) (address, error) {
	a := address{scheme: scheme, host: strings.ToLower(u.Hostname()), port: u.Port(),
		user: u.User.Username()}
	if _, has := u.User.Password(); has {
		if scheme == "ssh" {
			return invalidURL("the URL contains a password; leave it out, SSH uses a key")
		}
		return invalidURL("the URL contains a password; leave it out and set it as the token")
	}
	for _, start := range tokenPrefixes {
		if strings.HasPrefix(a.user, start) {
			return invalidURL(
				"the URL seems to contain an access token; leave it out and set it as the token")
		}
	}
	if a.port == "" {
		a.port = ports[scheme]
	}
	port, err := strconv.Atoi(a.port)
	switch {
	case a.host == "" || strings.HasPrefix(a.host, "-"):
		return invalidURL("the URL has no host; %s", example)
	case err != nil || port < 1 || port > 65535:
		return invalidURL("%s is not a port; ports are numbers from 1 to 65535", a.port)
	case strings.ContainsFunc(a.user+u.Path, unicode.IsControl): // it was escaped: %00, %0a
		return invalidURL("the URL contains an unprintable character; %s", example)
	case scheme == "git" && u.User != nil:
		return invalidURL("git:// has no users; leave out the part before the @")
	case strings.Trim(u.Path, "/") == "":
		return invalidURL("the URL has a host but no repository; %s", example)
	}
	switch a.path = u.Path; scheme {
	case "http", "https":
		a.path = strings.TrimRight(u.EscapedPath(), "/")
	case "ssh":
		if strings.HasPrefix(a.path, "/~") { // a home directory: git-clone(1)
			a.path = a.path[1:]
		}
	}
	return a.check()
}

// parseSCP parses git's short form user@host:path. It refuses host:path, which git accepts but
// which is more often a URL without its scheme (localhost:3000/me/repository).
func parseSCP(raw string) (address, error) {
	if helper, _, ok := strings.Cut(raw, "::"); ok && !strings.ContainsAny(helper, "@/[:") {
		return invalidURL("%s:: would run a program, which is not allowed; %s", printable(helper),
			example)
	}
	user, rest, ok := strings.Cut(raw, "@")
	if !ok || user == "" || strings.ContainsAny(user, "/\\") {
		return invalidURL("this is a path, or a URL without its scheme; %s", example)
	}
	if strings.Contains(user, ":") {
		return invalidURL("the URL contains a password; leave it out, SSH uses a key")
	}
	host, path, ok := strings.Cut(rest, ":")
	if inner, after, bracketed := strings.Cut(strings.TrimPrefix(rest, "["), "]:"); bracketed &&
		rest[0] == '[' {
		host, path, ok = inner, after, true
	}
	if !ok || host == "" || strings.ContainsAny(host, "/\\@") || strings.HasPrefix(host, "-") {
		return invalidURL("the URL has no host; %s", example)
	}
	if strings.Trim(path, "/") == "" {
		return invalidURL("the URL has a host but no repository; %s", example)
	}
	return address{scheme: "ssh", user: user, host: strings.ToLower(host), port: ports["ssh"],
		path: path}.check()
}

// check refuses what a command on the server could take for an option.
func (a address) check() (address, error) {
	if strings.HasPrefix(a.user, "-") || strings.HasPrefix(a.path, "-") {
		return invalidURL("neither the user nor the path may begin with a dash; %s", example)
	}
	return a, nil
}

// isLoopback reports whether the host is this machine, where nobody on a network can listen in.
func (a address) isLoopback() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "localhost" || err == nil && ip.IsLoopback()
}
