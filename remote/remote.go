package remote

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Remote is a repository hosted elsewhere and how to get in. It is a value: what it holds is not
// kept, but for a connection that it opened.
type Remote struct {
	URL        string // https://, http://, ssh://, git:// or user@host:path, as [Check] accepts it; holds no secret
	Token      string // password or access token for http(s); empty: none. The user is the URL's, else "git"
	Key        []byte // private key for ssh: PEM, as OpenSSH writes it, without a passphrase
	KnownHosts []byte // lines as in OpenSSH's known_hosts; a host whose key is not among them is refused
}

const (
	maxURL  = 2048 // bytes
	example = "it looks like https://host/me/repository.git or git@host:me/repository.git"
)

// Check says what is wrong with a URL that a person set; nil: nothing that can be seen from here.
// The error wraps [ErrURL], and does not repeat a password.
func Check(url string) error {
	_, err := parse(url)
	return err
}

// IsSSH says whether url, which [Check] accepts, is reached by ssh: with a key and known hosts
// where others take a token.
func IsSSH(url string) bool {
	at, err := parse(url)
	return err == nil && at.scheme == "ssh"
}

// address is a URL that has been taken apart.
type address struct {
	scheme string // http, https, ssh, git
	user   string // may be empty
	host   string // without brackets
	port   string // never empty
	path   string // as the server is to be asked for it; for http(s) escaped, without a slash at the end
}

// hostport is the address to dial.
func (a address) hostport() string { return net.JoinHostPort(a.host, a.port) }

// String is the URL again, for messages.
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

// tokens are how access tokens begin that people paste where the user's name goes:
// https://TOKEN@github.com/... is on many a page.
var tokens = []string{"ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-"}

func wrong(format string, args ...any) (address, error) {
	return address{}, faultf(ErrURL, format, args...)
}

func parse(raw string) (address, error) {
	switch {
	case raw == "":
		return wrong("the URL is empty; %s", example)
	case len(raw) > maxURL:
		return wrong("the URL is longer than %d bytes; %s", maxURL, example)
	case strings.HasPrefix(raw, "-"):
		return wrong("a URL does not begin with a dash; %s", example)
	case strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return wrong("the URL holds a space or a character that cannot be printed; %s", example)
	}
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return parseShort(raw)
	}
	scheme = strings.ToLower(scheme)
	if ports[scheme] == "" {
		if strings.ContainsAny(scheme, "@/") || len(scheme) > 20 { // may hold anything, also a password
			return wrong("the URL's scheme is none of https, http, ssh and git; %s", example)
		}
		return wrong("%s:// cannot be followed, only https, http, ssh and git can; %s", scheme, example)
	}
	if strings.ContainsAny(raw, "?#") {
		return wrong("the URL holds a ? or #, which no repository's does; %s", example)
	}
	u, err := url.Parse(raw)
	if err != nil { // its text repeats the URL, and with it a password
		return wrong("this is not a URL; %s", example)
	}
	return parseURL(scheme, u)
}

func parseURL(scheme string, u *url.URL) (address, error) {
	a := address{scheme: scheme, host: strings.ToLower(u.Hostname()), port: u.Port(), user: u.User.Username()}
	if _, has := u.User.Password(); has {
		if scheme == "ssh" {
			return wrong("the URL holds a password; leave it out: ssh gets in with a key")
		}
		return wrong("the URL holds a password; leave it out, and give it as the token")
	}
	for _, start := range tokens {
		if strings.HasPrefix(a.user, start) {
			return wrong("the URL holds what looks like an access token; leave it out, and give it as the token")
		}
	}
	if a.port == "" {
		a.port = ports[scheme]
	}
	port, err := strconv.Atoi(a.port)
	switch {
	case a.host == "" || strings.HasPrefix(a.host, "-"):
		return wrong("the URL names no host; %s", example)
	case err != nil || port < 1 || port > 65535:
		return wrong("%s is not a port; it is a number from 1 to 65535", a.port)
	case strings.ContainsFunc(a.user+u.Path, unicode.IsControl): // was escaped: %00, %0a
		return wrong("the URL holds a character that cannot be printed; %s", example)
	case scheme == "git" && u.User != nil:
		return wrong("git:// knows no users; leave out what comes before the @")
	case strings.Trim(u.Path, "/") == "":
		return wrong("the URL names a host but no repository; %s", example)
	}
	switch a.path = u.Path; scheme {
	case "http", "https":
		a.path = strings.TrimRight(u.EscapedPath(), "/")
	case "ssh":
		if strings.HasPrefix(a.path, "/~") { // a home directory: git-clone(1)
			a.path = a.path[1:]
		}
	}
	return a.checked()
}

// parseShort takes git's short form user@host:path apart. git also takes host:path; here it is
// refused, for it is more often a URL that lost its scheme (localhost:3000/me/repository).
func parseShort(raw string) (address, error) {
	if helper, _, ok := strings.Cut(raw, "::"); ok && !strings.ContainsAny(helper, "@/[:") {
		return wrong("%s:: names a program to run, which a URL must not; %s", clean(helper), example)
	}
	user, rest, ok := strings.Cut(raw, "@")
	if !ok || user == "" || strings.ContainsAny(user, "/\\") {
		return wrong("this is not a URL but a path, or lacks its scheme; %s", example)
	}
	if strings.Contains(user, ":") {
		return wrong("the URL holds a password; leave it out: ssh gets in with a key")
	}
	host, path, ok := strings.Cut(rest, ":")
	if inner, after, bracketed := strings.Cut(strings.TrimPrefix(rest, "["), "]:"); bracketed && rest[0] == '[' {
		host, path, ok = inner, after, true
	}
	if !ok || host == "" || strings.ContainsAny(host, "/\\@") || strings.HasPrefix(host, "-") {
		return wrong("the URL names no host; %s", example)
	}
	if strings.Trim(path, "/") == "" {
		return wrong("the URL names a host but no repository; %s", example)
	}
	return address{scheme: "ssh", user: user, host: strings.ToLower(host), port: ports["ssh"], path: path}.checked()
}

// checked refuses what the other end could take for an option of a command.
func (a address) checked() (address, error) {
	if strings.HasPrefix(a.user, "-") || strings.HasPrefix(a.path, "-") {
		return wrong("neither the user nor the path may begin with a dash; %s", example)
	}
	return a, nil
}

// loopback says whether the host is this one, so that nobody on a network reads along.
func (a address) loopback() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "localhost" || err == nil && ip.IsLoopback()
}
