package appjson

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"paas/runtime/health"
	"paas/runtime/rig"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]File{
		`{}`: {},
		`{"name": "blog", "stack": "x", "formation": {"web": {"size": "large"}}}`:               {},
		`{"formation": {"web": {"quantity": 2}, "worker": {"quantity": 0}}}`:                    {Formation: map[string]int{"web": 2, "worker": 0}},
		`{"healthchecks": {"worker": [{"type": "startup", "command": ["./ok", "a b"]}]}}`:       {Checks: map[string][]health.Check{"worker": {{Type: "startup", Command: []string{"./ok", "a b"}}}}},
		`{"healthchecks": {"web": [{"type": "startup", "listening": true}]}}`:                   {Checks: map[string][]health.Check{"web": {{Type: "startup"}}}},
		`{"scripts": {"postdeploy": "a", "dokku": {"predeploy": "b", "postdeploy": "c"}}}`:      {FirstTime: "a", Predeploy: "b", Postdeploy: "c"},
		`{"cron": [{"schedule": "@daily", "command": "a", "concurrency_policy": "allow"}]}`:     {Cron: []Cron{{"@daily", "a", "allow"}}},
		`{"healthchecks": {"web": [{"path": "/", "httpHeaders": [{"name":"A","value":"b"}]}]}}`: {Checks: map[string][]health.Check{"web": {{Path: "/", Headers: map[string]string{"A": "b"}}}}},
		"\ufeff{ // a note\n\"healthchecks\": {\"web\": [{\"type\": \"liveness\", \"path\": \"/live\", \"uptime\": 0}, " +
			`{"type": "startup", "path": "/health", "timeout": 2.5, "attempts": 7, "wait": 1, "content": "ok", "port": 81, "initialDelay": 3},],},}`: {
			Checks: map[string][]health.Check{"web": {
				{Type: "liveness", Path: "/live"},
				{Type: "startup", Path: "/health", Timeout: 2500 * time.Millisecond, Attempts: 7, Wait: time.Second, Content: "ok", Port: 81, Delay: 3 * time.Second},
			}}},
	} {
		if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	web := func(check string) string { return `{"healthchecks": {"web": [` + check + `]}}` }
	for text, want := range map[string]string{
		`{`:  "app.json: ",
		`[]`: "app.json: ",
		`{"formation": {"web": {"quantity": -1}}}`:                                       "app.json: formation.web: -1 processes",
		`{"formation": {"web": {"quantity": 1000}}}`:                                     "1000 processes: not between 0 and 100",
		`{"cron": [{"schedule": "@daily"}]}`:                                             "app.json: cron, entry 1: needs",
		`{"cron": [{"schedule": "@daily", "command": "a", "concurrency_policy": "no"}]}`: `concurrency_policy "no"`,
		web(`{"path": "health"}`):                                                        "app.json: healthchecks.web: path \"health\": must begin with /",
		web(`{"path": "/a\r\nHost:"}`):                                                   "must begin with /",
		web(`{"path": "/a", "attempts": -1}`):                                            "attempts -1",
		web(`{"path": "/a", "timeout": -1}`):                                             "-1 seconds",
		web(`{"path": "/a", "timeout": "soon"}`):                                         "app.json: ",
		web(`{"path": "/a", "wait": 1e300}`):                                             "1e300 seconds",
		web(`{"path": "/a", "type": "sometimes"}`):                                       `type "sometimes"`,
		web(`{"path": "/a", "command": ["a"]}`):                                          "one of them",
		web(`{"path": "/a", "port": 70000}`):                                             "not a port",
		web(`{"path": "/a", "scheme": "https"}`):                                         "speak http",
		web(`{"uptime": 3, "type": "liveness"}`):                                         "only of a startup check",
	} {
		if got, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, got, err, want)
		}
	}
}

// A link in a commit shows nothing of what is outside of it.
func TestReadStaysInTree(t *testing.T) {
	outside := rig.Tree(t, map[string]string{"app.json": "{"})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(outside, "app.json"), filepath.Join(dir, "app.json")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, t.TempDir()} {
		if f, err := Read(dir); err != nil || !reflect.DeepEqual(f, File{}) {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if f, err := Read(rig.Tree(t, map[string]string{"app.json": `{"cron": []}`})); err != nil || len(f.Cron) > 0 {
		t.Error(f, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"formation": {"web": {"quantity": 2}}, "healthchecks": {"web": [{"path": "/", "uptime": 1.5}]}, // a
		"cron": [{"schedule": "* * * * *", "command": "x"}],}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Parse(content)
		if err != nil && !strings.HasPrefix(err.Error(), "app.json: ") {
			t.Error(err)
		}
		for name, n := range file.Formation {
			if CheckQuantity(n) != nil {
				t.Errorf("%s: %d", name, n)
			}
		}
		for _, checks := range file.Checks {
			for _, c := range checks {
				if c.Validate() != nil {
					t.Errorf("%+v", c)
				}
			}
		}
	})
}
