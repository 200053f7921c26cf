package remote

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://github.com/me/repo.git":        "https://github.com/me/repo.git",
		"https://github.com/me/repo/":           "https://github.com/me/repo",
		"HTTPS://GitHub.com:443/me/repo":        "https://github.com/me/repo",
		"https://me@host:8443/a%20b":            "https://host:8443/a%20b",
		"http://localhost:3000/me/repo":         "http://localhost:3000/me/repo",
		"http://[::1]:3000/me/repo":             "http://[::1]:3000/me/repo",
		"ssh://git@host:2222/me/repo.git":       "ssh://host:2222/me/repo.git",
		"ssh://host/~me/repo.git":               "ssh://host/~me/repo.git",
		"git@github.com:me/repo.git":            "ssh://github.com/me/repo.git",
		"me@host:/srv/repo.git":                 "ssh://host/srv/repo.git",
		"me@[::1]:repo.git":                     "ssh://[::1]/repo.git",
		"git://host/repo.git":                   "git://host/repo.git",
		"git://host:9999/repo.git":              "git://host:9999/repo.git",
		"https://host/me/a-repo--with-dashes-":  "https://host/me/a-repo--with-dashes-",
		"https://gitlab.com/group/sub/repo.git": "https://gitlab.com/group/sub/repo.git",
	} {
		at, err := parse(url)
		if err != nil || at.String() != want {
			t.Errorf("%s: %s, %v; want %s", url, at, err, want)
		}
		if err := CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	const secret = "hunter2"
	for url, words := range map[string]string{
		"":                                  "is empty",
		"/srv/repo.git":                     "a path",
		"./repo":                            "a path",
		"repo.git":                          "a path",
		`C:\repo`:                           "a path",
		"github.com/me/repo":                "without its scheme",
		"localhost:3000/me/repo":            "without its scheme",
		"file:///srv/repo.git":              "file:// is not supported",
		"ftp://host/repo":                   "ftp:// is not supported",
		"ext::sh -c id":                     "a space",
		"ext::id":                           "would run a program",
		"-oProxyCommand=id":                 "dash",
		"--upload-pack=id":                  "dash",
		"ssh://-oProxyCommand=id/repo":      "no host",
		"ssh://-x@host/repo":                "dash",
		"-x@host:repo":                      "dash",
		"git@-oProxyCommand=id:repo":        "no host",
		"git@host:-x":                       "dash",
		"https://host":                      "no repository",
		"https://host/":                     "no repository",
		"https:///repo":                     "no host",
		"git@host:":                         "no repository",
		"git@host":                          "no host",
		"https://host:0/repo":               "not a port",
		"https://host:99999/repo":           "not a port",
		"https://host/repo?a=b":             "? or #",
		"https://host/repo#main":            "? or #",
		"https://host/repo#":                "? or #",
		"https://host/repo?":                "? or #",
		"https://host/repo\n":               "unprintable",
		"https://host/repo%0a":              "unprintable",
		"ssh://host/repo%00":                "unprintable",
		"https://host/\x1b[2J":              "unprintable",
		"git://me@host/repo":                "no users",
		"https://me:hunter2@host/repo":      "as the token",
		"ssh://me:hunter2@host/repo":        "SSH uses a key",
		"me:hunter2@host:repo":              "SSH uses a key",
		"https://ghp_hunter2@host/repo":     "as the token",
		"https://me:hunter2@host:xx/repo":   "not a URL",
		"me:hunter2@://host/repo":           "scheme",
		"https://host/" + long('a', maxURL): "longer than",
	} {
		err := CheckURL(url)
		if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v; want %q", url, err, words)
		} else if strings.Contains(err.Error(), secret) ||
			strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %q", url, err)
		}
	}
	if IsSSH("https://host/repo") {
		t.Error("https is SSH")
	}
	if !IsSSH("git@host:repo") {
		t.Error("the short form is not SSH")
	}
	if !IsSSH("ssh://host/repo") {
		t.Error("ssh:// is not SSH")
	}
	if IsSSH("repo") {
		t.Error("a path is SSH")
	}
}

func long(c byte, n int) string { return strings.Repeat(string(c), n) }

func FuzzCheckURL(f *testing.F) {
	for _, url := range []string{"https://me@host:1/a%20b", "git@[::1]:x", "ssh://host/~x",
		"ext::id", "a@b:c"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		at, err := parse(url)
		if err != nil {
			if !errors.Is(err, ErrURL) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		if at.host == "" || at.path == "" || ports[at.scheme] == "" ||
			strings.HasPrefix(at.host, "-") || strings.HasPrefix(at.path, "-") {
			t.Fatalf("%q: %+v", url, at)
		}
	})
}
