package cron

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"paas/formation/appjson"
)

func TestEntries(t *testing.T) {
	entries, err := Entries(
		map[string]string{
			"web": "node server.js", "cronjob": "* * * * * x", "release": "x",
			"cron10":    "@daily j",
			"cron2":     "0 4 * * *\tnode  b.js '*' ",
			"cron":      "*/10   * * * * node tidy.js $HOME; echo done",
			"cron-tidy": "@hourly ./bin/tidy --all",
			"cron_a":    "0 0 1 1 * 7z x",
		},
		[]appjson.Cron{{Schedule: "@weekly", Command: "a", Concurrency: "allow"},
			{Schedule: " 5 * * * * ", Command: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{ID: 1, From: "app.json", When: "@weekly", Command: "a", Policy: Allow},
		{ID: 2, From: "app.json", When: "5 * * * *", Command: "b", Policy: Forbid},
		{ID: 3, From: "cron", When: "*/10 * * * *", Command: "node tidy.js $HOME; echo done",
			Policy: Forbid},
		{ID: 4, From: "cron2", When: "0 4 * * *", Command: "node  b.js '*'", Policy: Forbid},
		{ID: 5, From: "cron10", When: "@daily", Command: "j", Policy: Forbid},
		{ID: 6, From: "cron-tidy", When: "@hourly", Command: "./bin/tidy --all", Policy: Forbid},
		{ID: 7, From: "cron_a", When: "0 0 1 1 *", Command: "7z x", Policy: Forbid},
	}
	for i := range entries {
		if entries[i].Schedule.fields == "" {
			t.Errorf("%+v", entries[i])
		}
		entries[i].Schedule = Schedule{}
	}
	if !slices.Equal(entries, want) {
		t.Errorf("%+v", entries)
	}
	ordinary := map[string]string{"cron": "node tidy.js --all a b c", "cron2": "7z x"}
	if none, err := Entries(ordinary, nil); err != nil || none != nil {
		t.Error(none, err)
	}
	if none, err := Entries(map[string]string{"web": "x"}, nil); err != nil || none != nil {
		t.Error(none, err)
	}
}

func TestEntriesRefuse(t *testing.T) {
	for line, want := range map[string]string{
		"61 * * * * node tidy.js":       `line cron-2 of the Procfile: minute "61": 61 is not between 0 and 59`,
		"5 tidy.js":                     `line cron-2 of the Procfile: "5 tidy.js" has 2 fields`,
		"*/10 * * * *":                  "no command after the schedule",
		"@daily":                        "no command after the schedule",
		"@soon node tidy.js":            `"@soon" is not one of`,
		"0 */10 * * * * node tidy.js":   `"0 */10 * * * *" has more than the five fields`,
		"*/10 * * * * node\x00 tidy.js": "NUL",
	} {
		if entries, err := Entries(map[string]string{"cron-2": line},
			nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", line, entries, err, want)
		}
	}
	_, err := Entries(nil, []appjson.Cron{{Schedule: "@daily", Command: "a"},
		{Schedule: "* * * 0 *", Command: "b"}})
	if err == nil || err.Error() != `app.json: cron[1]: month "0": 0 is not between 1 and 12` {
		t.Error(err)
	}
	many := make([]appjson.Cron, 101)
	for i := range many {
		many[i] = appjson.Cron{Schedule: "@daily", Command: "a"}
	}
	if _, err := Entries(nil, many); err == nil || err.Error() != "101 cron entries; the maximum is 100" {
		t.Error(err)
	}
}

func TestDecide(t *testing.T) {
	for policy, want := range map[Policy]map[int]Step{
		Forbid:  {0: Run, 1: Skip, 2: Skip},
		Allow:   {0: Run, 1: Run, 19: Run, 20: Skip},
		Replace: {0: Run, 1: StopFirst, 2: StopFirst},
	} {
		got := map[int]Step{}
		for running := range want {
			got[running] = policy.Decide(running)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v", policy, got)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"*/10 * * * * node tidy.js", "@daily x", "0 0 1 1 *", "@",
		"* * * * * * x", "1 2 3 4 5 '\t'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := parseLine(strings.TrimSpace(line)) // as in a Procfile
		if err != nil {
			return
		}
		if e.Command == "" || !strings.HasSuffix(strings.TrimSpace(line), e.Command) {
			t.Errorf("%q: %+v", line, e)
		}
		again, err := parseLine(e.When + " " + e.Command)
		if err != nil || again.Schedule != e.Schedule || again.Command != e.Command {
			t.Errorf("%q -> %+v -> %+v, %v", line, e, again, err)
		}
	})
}
