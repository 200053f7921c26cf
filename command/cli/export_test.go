package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"paas/volume"
)

// hostile values are those that a careless quoting changes, or runs.
var hostile = map[string]string{
	"QUOTES": `it's "quoted" '' ''' \'`, "RUNS": "$(touch /tmp/pwned) `id` ${HOME} $PATH; exit 7 & | > <",
	"BLANKS": "  two  and\ttab ", "EMPTY": "", "GLOB": "* ? [a-z] ~ ~root {a,b} !!", "BACK": `\n \\ \`,
	"LIKE_COMMENT": "# no comment", "EQUALS": "=a=b=", "UNICODE": "zażółć 🚀", "DASH": "-n -e",
	"PERCENT": "%s %n %%", "HTML": "<&>\u2028",
}

var lines = map[string]string{"LINES": "one\ntwo\n\n", "CRLF": "a\r\nb\r", "CONTROL": "\x01\x1b[2J\x7f"}

func exportStage(t *testing.T, all ...map[string]string) *stage {
	t.Helper()
	s := newStage(t)
	app, err := s.server.Volume.Create("hostile")
	s.must(err)
	config := map[string]string{}
	for _, vars := range all {
		maps.Copy(config, vars)
	}
	s.must(app.SetSettings(volume.Settings{Config: config}))
	return s
}

func export(t *testing.T, s *stage, format string) string {
	t.Helper()
	text, _, err := callRow(t, s, admin, "config:export", []string{"hostile", "--format", format}, "")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A shell that reads an export has each value, byte for byte, and runs nothing.
func TestShellReadsExport(t *testing.T) {
	s := exportStage(t, hostile, lines)
	for format, script := range map[string]string{"exports": `eval "$EXPORT"; env -0`, "shell": `set -a; eval "$EXPORT"; env -0`} {
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = []string{"EXPORT=" + export(t, s, format), "PATH=/usr/bin:/bin"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		got := map[string]string{}
		for pair := range strings.SplitSeq(string(out), "\x00") {
			key, value, _ := strings.Cut(pair, "=")
			got[key] = value
		}
		for _, vars := range []map[string]string{hostile, lines} {
			for key, want := range vars {
				if got[key] != want {
					t.Errorf("%s: %s is %q, want %q", format, key, got[key], want)
				}
			}
		}
	}
}

// docker takes each line of an --env-file as it is, after the first "=".
func TestDockerReadsExport(t *testing.T) {
	got := map[string]string{}
	for text := bufio.NewScanner(strings.NewReader(export(t, exportStage(t, hostile), "env-file"))); text.Scan(); {
		key, value, _ := strings.Cut(text.Text(), "=")
		got[key] = value
	}
	if !maps.Equal(got, hostile) {
		t.Errorf("%q, want %q", got, hostile)
	}
}

// A value that a format cannot hold is named, not changed.
func TestExportRefusesWhatItWouldChange(t *testing.T) {
	for _, key := range []string{"LINES", "CRLF"} {
		s := exportStage(t, map[string]string{key: lines[key]})
		words := []string{"hostile", "--format", "env-file"}
		out, _, err := callRow(t, s, admin, "config:export", words, "")
		if out != "" || err == nil || !strings.Contains(err.Error(), key+" has several lines") {
			t.Errorf("%s: %q, %v", key, out, err)
		}
	}
}

func TestExportInJSON(t *testing.T) {
	var got map[string]string
	if err := json.Unmarshal([]byte(export(t, exportStage(t, hostile), "json")), &got); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, hostile) {
		t.Errorf("%q, want %q", got, hostile)
	}
}

func TestEncodedValues(t *testing.T) {
	s := newStage(t)
	for key, want := range lines {
		word := key + "=" + base64.StdEncoding.EncodeToString([]byte(want))
		if _, _, err := callRow(t, s, admin, "config:set", []string{"blog", "--encoded", word}, ""); err != nil {
			t.Fatal(err)
		}
		if got := configOf(t, s)[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, word := range []string{"KEY=secret!", "KEY=/w=="} { // no base64; no UTF-8
		_, _, err := callRow(t, s, admin, "config:set", []string{"blog", "--encoded", word}, "")
		if err == nil || strings.Contains(err.Error(), word[4:]) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func configOf(t *testing.T, s *stage) map[string]string {
	t.Helper()
	app, err := s.server.Volume.App("blog")
	s.must(err)
	settings, err := app.Settings()
	s.must(err)
	return settings.Config
}

// With --no-restart nothing is released; each verb that makes a release of what is live takes the
// change, and a rollback does not.
func TestNoRestart(t *testing.T) {
	for verb, want := range map[string]string{
		"ps:restart blog": "green", "ps:rebuild blog": "green", "config:set blog SIZE=1": "green", "rollback blog v1": "blue",
	} {
		s := newStage(t)
		app, err := s.server.Volume.App("blog")
		s.must(err)
		s.must2(callRow(t, s, admin, "config:set", []string{"blog", "COLOR=green", "--no-restart"}, ""))
		if n := app.Live(); n != 2 {
			t.Errorf("v%d is live after --no-restart", n)
		}
		s.must2(callRow(t, s, admin, "settings:set", []string{"blog", "grace=20s"}, ""))
		if got := configOf(t, s)["COLOR"]; got != "green" {
			t.Errorf("the next release has COLOR=%s", got)
		}
		name, rest, _ := strings.Cut(verb, " ")
		s.must2(callRow(t, s, admin, name, strings.Fields(rest), ""))
		if got := configOf(t, s)["COLOR"]; got != want || app.Live() != 3 {
			t.Errorf("after %s: COLOR=%s, v%d", verb, got, app.Live())
		}
	}
}
