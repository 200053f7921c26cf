package command

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	zone := time.FixedZone("there", 2*60*60)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, zone)
	for text, want := range map[string]string{
		"10m":                       "2026-11-25T09:50:00Z",
		"2h30m":                     "2026-11-25T07:30:00Z",
		"2d":                        "2026-11-23T10:00:00Z",
		"0s":                        "2026-11-25T10:00:00Z",
		"2026-11-25T10:00:00Z":      "2026-11-25T10:00:00Z",
		"2026-11-25T10:00:00.123Z":  "2026-11-25T10:00:00.123Z",
		"2026-11-25T10:00:00+02:00": "2026-11-25T08:00:00Z",
		"2026-11-25 10:00:00":       "2026-11-25T10:00:00Z",
		"2026-11-25T10:00:00":       "2026-11-25T10:00:00Z",
		"2026-11-25 10:00":          "2026-11-25T10:00:00Z",
		"2026-11-25":                "2026-11-25T00:00:00Z",
		"":                          "",
		"10":                        "",
		"-10m":                      "",
		"-1d":                       "",
		"99999999999d":              "",
		"yesterday":                 "",
		"25.11.2026":                "",
	} {
		at, err := parseSince(text, now)
		got := ""
		if err == nil {
			got = at.UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q: %q, %v, not %q", text, got, err, want)
		}
	}
}

func TestSelection(t *testing.T) {
	known := []string{"router.0", "router.1", "web.1", "web.2", "web-admin.1", "worker.1"}
	for wanted, want := range map[string]string{
		"web":          "web.1 web.2",
		"web.2":        "web.2",
		"worker,web.1": "web.1 worker.1",
		"":             "router.1 web.1 web.2 web-admin.1 worker.1",
		"router":       "router.0 router.1",
	} {
		var names []string
		if wanted != "" {
			names = strings.Split(wanted, ",")
		}
		of, err := selection("blog", names, known)
		if err != nil {
			t.Errorf("%s: %v", wanted, err)
			continue
		}
		var selected []string
		for _, process := range known {
			if of(process) {
				selected = append(selected, process)
			}
		}
		if got := strings.Join(selected, " "); got != want {
			t.Errorf("%s selects %s", wanted, got)
		}
	}
	for wanted, want := range map[string]string{
		"wbe":     `blog has no process "wbe" (did you mean web?); there are logs of router.0, router.1, web.1, web.2, web-admin.1, worker.1`,
		"web.3":   `blog has no process "web.3" (did you mean web.1?); there are logs of router.0, router.1, web.1, web.2, web-admin.1, worker.1`,
		"we":      `blog has no process "we" (did you mean web?); there are logs of router.0, router.1, web.1, web.2, web-admin.1, worker.1`,
		"\x1b[2J": `blog has no process "?[2J"; there are logs of router.0, router.1, web.1, web.2, web-admin.1, worker.1`,
	} {
		if _, err := selection("blog", []string{"worker", wanted}, known); err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
	}
	if _, err := selection("blog", []string{"web"}, nil); err == nil || err.Error() != `blog has no process "web": nothing of it has run yet` {
		t.Error(err)
	}
}

// A pipe gets the app's bytes as they are, a terminal what does no harm there, and a program JSON.
func TestLogLines(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	known := []string{"web.1", "worker.10"}
	lines := []LogLine{
		{Process: "web.1", Time: at, Text: []byte("\x1b[31mred \x1b[2J\x00\xff"), known: known},
		{Process: "worker.10", Time: at, Note: true, Text: []byte("--- <v7> starts"), known: known},
	}
	for want, to := range map[string]func(*Page) Teller[LogLine]{
		"2026-11-25T10:00:00.000Z web.1     | \x1b[31mred \x1b[2J\x00\xff\n" +
			"2026-11-25T10:00:00.000Z worker.10 | --- <v7> starts\n": printLogs,
		"2026-11-25T10:00:00.000Z \x1b[36mweb.1     | \x1b[0m\x1b[31mred \ufffd\x1b[0m\n" +
			"2026-11-25T10:00:00.000Z \x1b[33mworker.10 | \x1b[0m\x1b[2m--- <v7> starts\x1b[0m\n": func(p *Page) Teller[LogLine] {
			p.OnTerminal = true
			return printLogs(p)
		},
		`{"time":"2026-11-25T10:00:00Z","process":"web.1","text":"\u001b[31mred \u001b[2J\u0000\ufffd"}` + "\n" +
			`{"time":"2026-11-25T10:00:00Z","process":"worker.10","note":true,"text":"--- <v7> starts"}` + "\n": func(p *Page) Teller[LogLine] {
			return newJSONLines[LogLine](p)
		},
	} {
		var out bytes.Buffer
		teller := to(newPage(&Call{Stdout: &out}))
		for _, line := range lines {
			if err := teller.Tell(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := teller.Flush(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%q, not\n%q", out.String(), want)
		}
	}
}
