package sshd

import (
	"paas/volume"
	"slices"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	for _, tt := range []struct {
		raw     string
		service string
		app     string
		args    []string
		err     string
	}{
		{raw: "git-receive-pack 'blog'", service: "git-receive-pack", app: "blog"},
		{raw: "git-receive-pack '/blog'", service: "git-receive-pack", app: "blog"},
		{raw: "git-receive-pack '/blog.git'", service: "git-receive-pack", app: "blog"},
		{raw: "git-upload-pack '/blog.git/'", service: "git-upload-pack", app: "blog"},
		{raw: "git upload-pack 'blog'", service: "git-upload-pack", app: "blog"},
		{raw: "git-receive-pack blog", service: "git-receive-pack", app: "blog"},
		{raw: "git-receive-pack /blog.git", service: "git-receive-pack", app: "blog"},

		{raw: "git-receive-pack '/../x'", err: `"../x" is not an app name: use a-z`},
		{raw: "git-receive-pack ''", err: `"" is not an app name`},
		{raw: "git-receive-pack '/'", err: `"" is not an app name`},
		{raw: "git-receive-pack '//blog'", err: `"/blog" is not an app name`},
		{raw: "git-receive-pack '~/blog'", err: `"~/blog" is not an app name`},
		{raw: "git-receive-pack '/apps/blog'", err: `"apps/blog" is not an app name`},
		{raw: "git-receive-pack 'blog.git.git'", err: `"blog.git" is not an app name`},
		{raw: "git-receive-pack 'Blog'", err: `"Blog" is not an app name`},
		{raw: "git-receive-pack '--upload-pack=x'", err: "is not an app name"},
		{raw: "git-receive-pack '\x1b[2Jx\nblog'", err: `"\x1b[2Jx\nblog" is not an app name`},
		{raw: "git-receive-pack '" + strings.Repeat("a", 1000) + "'", err: "is not an app name"},
		{raw: "git-receive-pack 'a'\\''b'", err: "is not supported"},
		{raw: "git-receive-pack 'blog'; id", err: "is not supported"},
		{raw: "git-receive-pack 'blog'\n", err: "is not supported"},
		{raw: "git-receive-pack  'blog'", err: "is not supported"},
		{raw: "git-receive-pack blog extra", err: "is not supported"},
		{raw: " git-receive-pack 'blog'", err: "is not supported"},
		{raw: "git-upload-archive 'blog'", err: "is not supported"},
		{raw: "git", err: "is not supported"},
		{raw: "git status", err: "is not supported"},
		{raw: "git-'/0'", err: "is not supported"},
		{raw: "git-shell", err: "is not supported"},
		{raw: "'git' receive-pack blog", err: "is not supported"},
		{raw: "/usr/bin/git-receive-pack 'blog'", err: "is not supported"},
		{raw: "scp -t /tmp", err: "scp is not supported"},
		{raw: "rsync --server -e.x . /", err: "rsync is not supported"},
		{raw: "/usr/lib/openssh/sftp-server", err: "sftp-server is not supported"},

		{raw: "apps:list --format json", args: []string{"apps:list", "--format", "json"}},
		{raw: "github:link blog", args: []string{"github:link", "blog"}},
		{raw: `config:set blog A='x y' B="p 'q' \"r\" \$s \n" C=\ z D=$(id) E=` + "`id`",
			args: []string{
				"config:set", "blog", "A=x y", `B=p 'q' "r" $s \n`, "C= z", "D=$(id)", "E=`id`"}},
		{raw: `config:set blog A='' ''`, args: []string{"config:set", "blog", "A=", ""}},
		{raw: "a;b && c | d > e *", args: []string{"a;b", "&&", "c", "|", "d", ">", "e", "*"}},
		{raw: "  help\t ", args: []string{"help"}},
		{raw: ""},
		{raw: " \n\t"},
		{raw: "config:set blog A='x", err: "an unmatched '"},
		{raw: `config:set blog A="x\"`, err: `an unmatched "`},
		{raw: `config:set blog A=x\`, err: "ends in a backslash"},
		{raw: "a\xffb", err: "not UTF-8"},
		{raw: "a\x00b", err: "not UTF-8"},
		{raw: strings.Repeat("x", maxCommand), args: []string{strings.Repeat("x", maxCommand)}},
		{raw: strings.Repeat("x", maxCommand+1), err: "too long"},
	} {
		cmd, err := parseCommand(tt.raw, volume.CheckName)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%.60q: error %v, want %q", tt.raw, err, tt.err)
			} else if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%.60q: error not fit for a terminal: %q", tt.raw, err)
			}
			continue
		}
		if err != nil || cmd.service != tt.service || cmd.app != tt.app ||
			!slices.Equal(cmd.args, tt.args) {
			t.Errorf("%.60q = %+v, %v", tt.raw, cmd, err)
		}
	}
}

// Whatever a client sends, a git service comes with a valid name and no arguments, and a command
// line without a service. Everything else is a printable error.
func FuzzCommand(f *testing.F) {
	for _, raw := range []string{
		"git-receive-pack '/blog.git'", "git upload-pack blog/", "git-receive-pack '../x'",
		"git-upload-archive 'x'",
		"scp -t x", `a "b c" 'd' \e`, `'`, `\`, "", "\x00", "git-receive-pack ''\\'''",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		cmd, err := parseCommand(raw, volume.CheckName)
		if err != nil {
			if cmd.service != "" || cmd.app != "" || cmd.args != nil {
				t.Errorf("%q: an error and %+v", raw, cmd)
			}
			if strings.ContainsAny(err.Error(), "\x00\x07\x1b\r\n") {
				t.Errorf("%q: control bytes in %q", raw, err)
			}
			return
		}
		switch {
		case cmd.service != "":
			if cmd.service != "git-receive-pack" && cmd.service != "git-upload-pack" {
				t.Errorf("%q: service %q", raw, cmd.service)
			}
			if err := volume.CheckName(cmd.app); err != nil {
				t.Errorf("%q: %v", raw, err)
			}
			if len(cmd.args) != 0 {
				t.Errorf("%q: a service with arguments: %+v", raw, cmd)
			}
		case cmd.app != "":
			t.Errorf("%q: an app without a service: %+v", raw, cmd)
		case len(cmd.args) > 0:
			if strings.HasPrefix(cmd.args[0], "git-") || cmd.args[0] == "git" {
				t.Errorf("%q: git as a verb: %q", raw, cmd.args)
			}
			if n := len(strings.Join(cmd.args, "")); n > len(raw) {
				t.Errorf("%q: more words than were given: %q", raw, cmd.args)
			}
		}
	})
}
