package formation

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"paas/volume"
)

func TestCount(t *testing.T) {
	for _, test := range []struct {
		processType    string
		scaled, inFile map[string]int
		want           int
	}{
		{"web", nil, nil, 1},
		{"worker", nil, nil, 0},
		{"web", nil, map[string]int{"web": 2, "gone": 3}, 2},
		{"worker", nil, map[string]int{"worker": 1}, 1},
		{"web", map[string]int{"web": 0}, map[string]int{"web": 2}, 0},
		{"worker", map[string]int{"web": 1}, map[string]int{"worker": 1}, 1},
	} {
		if got := Count(test.processType, test.scaled, test.inFile); got != test.want {
			t.Errorf("%s of %v and %v: %d, want %d", test.processType, test.scaled, test.inFile, got,
				test.want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		built volume.Built
		want  string
	}{
		{volume.Built{Processes: map[string]string{"web": "a", "worker": "b", "release": "c",
			"cron": "@daily d", "cron2": "e f", "run": "g"}}, "web=a cron2=e f worker=b"},
		{volume.Built{Static: "public"}, "web=static files"},
		{volume.Built{Static: "public", Processes: map[string]string{"web": "a"}}, "web=a"},
	} {
		var got []string
		lines := Lines(test.built)
		for _, name := range slices.SortedFunc(maps.Keys(lines), Compare) {
			got = append(got, name+"="+lines[name])
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.built, got, test.want)
		}
	}
}

func TestIsCron(t *testing.T) {
	for name, want := range map[string]bool{
		"cron": true, "cron2": true, "cron-tidy": true, "cron_tidy": true, "cron-2": true,
		"web": false, "cronjob": false, "cron2x": false, "Cron": false, "acron": false, "release": false,
	} {
		if IsCron(name, "@daily x") != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	for line, want := range map[string]bool{
		"*/10 * * * * node tidy.js": true, "61 * * * * true": true, "0,30 4 * * 1-5 x": true,
		"@soon x": true, "*/10 * * * *": true, "* * * * *": true, "5": true,
		"node cron.js": false, "7z x": false, "./5 x": false, "sh -c 'x'": false,
	} {
		if IsCron("cron", line) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

func TestCronType(t *testing.T) {
	for want, processes := range map[string]map[string]string{
		"cron":          {"cron": "@daily x", "cron-schedule": "x"},
		"cron-schedule": {"cron": "node scheduler.js"},
	} {
		if is := CronType(processes); is != want {
			t.Errorf("%v: %s", processes, is)
		}
	}
	if is := CronType(nil); is != "cron" {
		t.Error(is)
	}
}

func TestCompare(t *testing.T) {
	types := []string{"worker", "a", "web", "b"}
	slices.SortFunc(types, Compare)
	if got := strings.Join(types, " "); got != "web a b worker" {
		t.Error(got)
	}
}
