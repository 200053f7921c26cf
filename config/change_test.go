package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// A change keeps what else is in the file: comments, other settings, and its mode.
func TestChange(t *testing.T) {
	for before, after := range map[string]string{
		"":            "domain: b.test\nhttp-addr: :80\n",
		"# only this": "# only this\ndomain: b.test\nhttp-addr: :80\n",
		"# one\nroot: /srv # two\ndomain: a.test\n": "# one\nroot: /srv # two\ndomain: b.test\nhttp-addr: :80\n",
		"http-addr: ':80'\ndomain: b.test\n":        "",
	} {
		path := filepath.Join(t.TempDir(), "etc", "paas.yaml")
		if before != "" {
			os.Mkdir(filepath.Dir(path), 0o755)
			if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		changed, err := Change(path, Value{"domain", "b.test"}, Value{"http-addr", ":80"})
		got, _ := os.ReadFile(path)
		if want := after; err != nil || changed != (want != "") || changed && string(got) != want || !changed && string(got) != before {
			t.Errorf("%q became %q, %v, %v; want %q", before, got, changed, err, want)
		}
		if info, err := os.Stat(path); err != nil || before != "" && info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}

// A bad value, or a file that cannot be read, changes nothing.
func TestRefusedChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paas.yaml")
	for before, domain := range map[string]string{
		"grace: 5s\n": "No Host", "grace: [\n": "b.test", "- grace\n": "b.test",
	} {
		os.WriteFile(path, []byte(before), 0o600)
		_, err := Change(path, Value{"acme-email", "a@b.test"}, Value{"domain", domain})
		if got, _ := os.ReadFile(path); err == nil || string(got) != before {
			t.Errorf("%q became %q, %v", before, got, err)
		}
	}
}

// The superuser's settings are the machine's, unless something names a root or a file.
func TestSystemFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only the superuser has them")
	}
	defer func(was string) { systemFile = was }(systemFile)
	systemFile = filepath.Join(t.TempDir(), "system.yaml")
	load := func(environ ...string) (*Config, error) {
		flags := pflag.NewFlagSet("paas", pflag.ContinueOnError)
		Flags(flags)
		c, _, err := Load(flags, environ)
		if err == nil && (c.File == systemFile) != strings.HasPrefix(c.Root, "/srv") {
			t.Errorf("with %q the file is %s", environ, c.File)
		}
		return c, err
	}
	if c, err := load(); err != nil || !strings.HasSuffix(c.Root, "/.paas") {
		t.Errorf("without the file the root is %s, %v", c.Root, err)
	}
	if err := os.WriteFile(systemFile, []byte("root: /srv/paas\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := load(); err != nil || c.Root != "/srv/paas" {
		t.Errorf("the root is %s, %v", c.Root, err)
	}
	other := t.TempDir()
	if c, err := load("PAAS_ROOT=" + other); err != nil || c.Root != other {
		t.Errorf("the root is %s, %v; want %s", c.Root, err, other)
	}
}
