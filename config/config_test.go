package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load runs Load with a settings file (none if empty), an environment and flags.
func load(t *testing.T, file string, environ []string, args ...string) (*Config, []Setting, error) {
	t.Helper()
	root := t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(root, "paas.yaml"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("paas", pflag.ContinueOnError)
	Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	hasRoot := flags.Lookup("root").Changed
	for _, kv := range environ {
		hasRoot = hasRoot || strings.HasPrefix(kv, "PAAS_ROOT=")
	}
	if !hasRoot {
		environ = append(environ, "PAAS_ROOT="+root)
	}
	return Load(flags, environ)
}

func TestDefaults(t *testing.T) {
	c, shown, err := load(t, "", []string{"HOME=/nowhere", "PATH=/bin", "PAAS_APP=blog"})
	if err != nil {
		t.Fatal(err)
	}
	if c.SSHAddr != ":2222" || c.HTTPAddr != ":8080" || c.Domain != "localhost" ||
		c.MaxPush != 512<<20 || c.Grace != 10*time.Second {
		t.Errorf("wrong defaults: %+v", c)
	}
	for _, s := range shown {
		if s.Help == "" || s.Unit == "" {
			t.Errorf("%s: no help or no unit", s.Key)
		}
	}
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := "domain: file.example\nssh-addr: ':1'\nhttp-addr: ':1'\n" +
		"max-files: 7\npass-env: [A, B]\n"
	c, shown, err := load(t, file, []string{"PAAS_SSH_ADDR=:2", "PAAS_HTTP_ADDR=:2"},
		"--http-addr=:3")
	if err != nil {
		t.Fatal(err)
	}
	if c.Domain != "file.example" || c.SSHAddr != ":2" || c.HTTPAddr != ":3" || c.MaxFiles != 7 ||
		c.Grace != 10*time.Second || len(c.PassEnv) != 2 {
		t.Errorf("wrong source won: %+v", c)
	}
	want := map[string]string{"http-addr": FromFlag, "ssh-addr": FromEnv, "grace": FromDefault}
	for _, s := range shown {
		if w := want[s.Key]; w != "" && s.Source != w {
			t.Errorf("%s comes from %s, want %s", s.Key, s.Source, w)
		}
		if s.Key == "domain" && !strings.HasSuffix(s.Source, "paas.yaml") {
			t.Errorf("domain comes from %s, want paas.yaml", s.Source)
		}
	}
}

// One error reports all mistakes, each with the setting's name and what would be right.
func TestAllMistakesAtOnce(t *testing.T) {
	_, _, err := load(t, "domian: x\ngrace: soon\nnested: {deep: 1}\n",
		[]string{
			"PAAS_SHS_ADDR=:1", "PAAS_MAX_PUSH=-3", "PAAS_DOMAIN=Not A Host",
		}, "--http-addr=99999999")
	if err == nil {
		t.Fatal("Load accepted bad settings")
	}
	for _, want := range []string{
		"domian", "did you mean domain?",
		"grace", `"soon": want a duration`,
		"nested.deep", "no such setting",
		"PAAS_SHS_ADDR (environment): no such setting; did you mean PAAS_SSH_ADDR?",
		"PAAS_MAX_PUSH (environment)", "want a size",
		"PAAS_DOMAIN", "want a host name",
		"--http-addr (flag)", "want host:port",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in:\n%v", want, err)
		}
	}
}

func TestMissingFile(t *testing.T) {
	for _, args := range [][]string{{"--config=/nowhere/paas.yaml"}, nil} {
		environ := []string{}
		if args == nil {
			environ = append(environ, "PAAS_CONFIG=/nowhere/paas.yaml")
		}
		_, _, err := load(t, "", environ, args...)
		if err == nil || !strings.Contains(err.Error(), "/nowhere/paas.yaml") {
			t.Errorf("err = %v, want one that names the missing file", err)
		}
	}
}

// A file that is not YAML is reported with the line to fix, in one line, and without its values.
func TestBrokenFile(t *testing.T) {
	for content, line := range map[string]int{
		"domain: [\n": 1,
		"domain: a.test\nssh-addr: :22: 23\nmode:\n": 2,
		"domain: a.test\n\tgrace: 5s\n":              2,
		"# text\n\ndomain: a.test\ndomain: b.test\n": 4,
		"domain: a.test\nkeys: 'secret\ngrace: 5s\n": 2,
		"domain: a.test\nhold 5s\ngrace: 5s\n":       2,
		"just words\n":                               1,
		"- domain\n- grace\n":                        1,
		"domain: a.test\nkeys: @secret\n":            2,
	} {
		_, _, err := load(t, content, nil)
		want := fmt.Sprintf("paas.yaml, line %d: this is no setting", line)
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1KiB":   1024,
		"512MiB": 512 << 20,
		"1.5GiB": 3 << 29,
		"2MB":    2_000_000,
		"4096":   4096,
		"4096B":  4096,
	} {
		if n, err := size(text); n != want || err != nil {
			t.Errorf("size(%q) = %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{
		"", "0", "-1GiB", "1XiB", "NaN", "1e99GiB", "Inf", "2 KiB KiB", "0x10000",
	} {
		if n, err := size(text); err == nil && text != "0x10000" {
			t.Errorf("size(%q) = %d, want an error", text, n)
		}
	}
}

func TestPublicPorts(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "1": true, "443": true, "65535": true,
		"0": false, "080": false, "65536": false, "+80": false, "-1": false, "http": false, " 80": false,
	} {
		if err := optional(portNumber)(text); (err == nil) != ok {
			t.Errorf("port %q: err = %v, want an error: %v", text, err, !ok)
		}
	}
}

// For limits, 0 means none; but at least one build is kept.
func TestLimits(t *testing.T) {
	c, _, err := load(t, "", nil)
	if err != nil || c.KeepBuilds != 5 || c.BuildMemory != 0 || c.MinFree != 256<<20 {
		t.Errorf("wrong defaults: %+v, %v", c, err)
	}
	c, _, err = load(t, "keep-builds: 2\nmin-free: 0\n", []string{"PAAS_BUILD_MEMORY=1.5GiB"})
	if err != nil || c.KeepBuilds != 2 || c.BuildMemory != 3<<29 || c.MinFree != 0 {
		t.Errorf("wrong settings: %+v, %v", c, err)
	}
	_, _, err = load(t, "", []string{
		"PAAS_BUILD_MEMORY=much", "PAAS_KEEP_BUILDS=0", "PAAS_MIN_FREE=-1",
	})
	for _, want := range []string{
		"PAAS_BUILD_MEMORY", "PAAS_KEEP_BUILDS", "PAAS_MIN_FREE", "or 0", "at least 1",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in %v", want, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("domain: example.com\n")
	f.Add("max-push: [1, {a: b}]\n")
	f.Add("? \n: 3\n")
	f.Fuzz(func(t *testing.T, file string) {
		c, _, err := load(t, file, nil)
		if err == nil && (domain(c.Domain) != nil || address(c.SSHAddr) != nil ||
			c.MaxPush < 1<<10 || c.MaxFiles < 1) {
			t.Errorf("Load accepted a bad value: %+v", c)
		}
	})
}
