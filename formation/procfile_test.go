package formation

import (
	"maps"
	"strings"
	"testing"
)

func TestParseProcfile(t *testing.T) {
	good := map[string]map[string]string{
		"web: node server.js":                          {"web": "node server.js"},
		"\ufeffweb: a\r\n\r\n# note\r\nworker : b\r\n": {"web": "a", "worker": "b"},
		"web: bundle exec x -p $PORT # not a comment": {
			"web": "bundle exec x -p $PORT # not a comment",
		},
		"  release:  x : y  ": {"release": "x : y"},
		"my-job_2:a":          {"my-job_2": "a"},
	}
	for text, want := range good {
		got, err := ParseProcfile([]byte(text))
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("ParseProcfile(%q) = %v, %v", text, got, err)
		}
	}
	bad := map[string]string{
		"":                                      "names no process",
		"# only\n":                              "names no process",
		"web: a\n\nweb: b":                      "line 3 of the Procfile: web is already defined in line 1",
		"web: a\nrun: b":                        "line 2 of the Procfile: run is reserved for `run APP",
		"web: a\n<<<<<<< HEAD\nweb: b":          "line 2 of the Procfile: merge marker <<<<<<<",
		"web: a\n=======\nx: b":                 "line 2 of the Procfile: merge marker =======",
		"web: a\n>>>>>>> topic: x":              "line 2 of the Procfile: merge marker >>>>>>>",
		"web node server.js":                    "line 1 of the Procfile: not of the form `type: command`",
		"we b: a":                               `"we b" is not a process type`,
		"../web: a":                             `"../web" is not a process type`,
		"web:":                                  "web has no command",
		"web: a\x00b":                           "NUL",
		strings.Repeat("x", 64):                 "not of the form",
		strings.Repeat("x", 64) + ": y":         "is not a process type",
		strings.Repeat("#", MaxProcfile) + "\n": "larger than 64 kB",
	}
	for text, want := range bad {
		got, err := ParseProcfile([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseProcfile(%.40q) = %v, %v; want error %q", text, got, err, want)
		}
	}
}

func FuzzProcfile(f *testing.F) {
	for _, seed := range []string{
		"web: a\nworker: b c", "\ufeffx:y\r\n", "<<<<<<< a: b", "a:\x00", "#", ": :",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		processes, err := ParseProcfile([]byte(text))
		if (err == nil) != (len(processes) > 0 && err == nil) {
			t.Fatalf("ParseProcfile = %v, %v", processes, err)
		}
		again := ""
		for name, line := range processes {
			if err != nil {
				break
			}
			if !processType.MatchString(name) || line == "" || strings.ContainsAny(line, "\n\x00") {
				t.Fatalf("bad process %q: %q", name, line)
			}
			again += name + ": " + line + "\n"
		}
		if err != nil || len(again) > MaxProcfile {
			return
		}
		// written out and parsed again, the result is the same
		if second, err := ParseProcfile([]byte(again)); err != nil ||
			!maps.Equal(second, processes) {
			t.Fatalf("%q -> %v -> %v, %v", text, processes, second, err)
		}
	})
}
