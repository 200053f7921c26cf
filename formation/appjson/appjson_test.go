package appjson

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"paas/rig"
	"paas/runtime/health"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]File{
		`{}`: {},
		`{"name": "blog", "stack": "x", "formation": {"web": {"size": "large"}}}`:                         {},
		`{"formation": {"web": {"quantity": 2}, "worker": {"quantity": 0}}}`:                              {Formation: map[string]int{"web": 2, "worker": 0}},
		`{"healthchecks": {"worker": [{"type": "startup", "command": ["./ok", "a b"]}]}}`:                 {Checks: map[string][]health.Check{"worker": {{Type: "startup", Command: []string{"./ok", "a b"}}}}},
		`{"healthchecks": {"web": [{"type": "startup", "listening": true}]}}`:                             {Checks: map[string][]health.Check{"web": {{Type: "startup"}}}},
		`{"scripts": {"postdeploy": "a", "backup": "c", "dokku": {"predeploy": "b", "postdeploy": "c"}}}`: {FirstTime: "a", Backup: "c", Predeploy: "b", Postdeploy: "c"},
		`{"cron": [{"schedule": "@daily", "command": "a", "concurrency_policy": "allow"}]}`:               {Cron: []Cron{{"@daily", "a", "allow"}}},
		`{"storage": ["public/uploads/", "media"]}`:                                                       {Storage: []string{"media", "public/uploads"}},
		`{"healthchecks": {"web": [{"path": "/", "httpHeaders": [{"name":"A","value":"b"}]}]}}`:           {Checks: map[string][]health.Check{"web": {{Path: "/", Headers: map[string]string{"A": "b"}}}}},
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
}

// A wrong value is reported in one line: the field, what it must be, and what it is.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{`:     "line 1, column ",
		`{} {}`: "line 1, column ",
		`[]`:    `must be an object, {...}, but is []`,
		`"x"`:   `must be an object, {...}, but is "x"`,

		`{"formation": ["web"]}`:                                     `formation must be an object such as {"web": {"quantity": 2}}, but is ["web"]`,
		`{"formation": {"web": 2}}`:                                  `formation.web must be an object such as {"quantity": 2}, but is 2`,
		`{"formation": {"web": {"quantity": "2"}}}`:                  `formation.web.quantity must be a whole number from 0 to 100, but is "2"`,
		`{"formation": {"web": {"quantity": 2.5}}}`:                  `formation.web.quantity must be a whole number from 0 to 100, but is 2.5`,
		`{"formation": {"web": {"quantity": -1}}}`:                   `formation.web.quantity must be a whole number from 0 to 100, but is -1`,
		`{"formation": {"web": {"quantity": 1000}}}`:                 `formation.web.quantity must be a whole number from 0 to 100, but is 1000`,
		`{"formation": {"web": {"quantity": 99999999999999999999}}}`: `formation.web.quantity must be a whole number from 0 to 100, but is 99999999999999999999`,
		`{"formation": {"we\nb": 2}}`:                                `formation["we\nb"] must be an object such as {"quantity": 2}, but is 2`,
		`{"formation": {"b": 1, "a": 2}}`:                            `formation.a must be an object such as {"quantity": 2}, but is 2`,

		`{"scripts": "x"}`:                              `scripts must be an object such as {"postdeploy": "node seed.js"}, but is "x"`,
		`{"scripts": {"postdeploy": ["a"]}}`:            `scripts.postdeploy must be a string, but is ["a"]`,
		`{"scripts": {"dokku": "x"}}`:                   `scripts.dokku must be an object such as {"predeploy": "node check.js"}, but is "x"`,
		`{"scripts": {"dokku": {"predeploy": 1}}}`:      `scripts.dokku.predeploy must be a string, but is 1`,
		`{"scripts": {"dokku": {"postdeploy": false}}}`: `scripts.dokku.postdeploy must be a string, but is false`,

		`{"cron": {"command": "a"}}`:                                                     `cron must be a list such as [{"schedule": "@daily", "command": "node tidy.js"}], but is {"command":"a"}`,
		`{"cron": ["@daily a"]}`:                                                         `cron[0] must be an object such as {"schedule": "@daily", "command": "node tidy.js"}, but is "@daily a"`,
		`{"cron": [{"schedule": "@daily"}]}`:                                             `cron[0]: needs a schedule and a command`,
		`{"cron": [{"schedule": 5, "command": "a"}]}`:                                    `cron[0].schedule must be a string, but is 5`,
		`{"cron": [{"schedule": "@daily", "command": ["a"]}]}`:                           `cron[0].command must be a string, but is ["a"]`,
		`{"cron": [{"schedule": "@daily", "command": "a", "concurrency_policy": true}]}`: `cron[0].concurrency_policy must be a string, but is true`,
		`{"cron": [{"schedule": "@daily", "command": "a"}, {"schedule": "@daily", "command": "a", "concurrency_policy": "no"}]}`: `cron[1].concurrency_policy must be forbid, allow or replace, but is "no"`,

		`{"storage": "uploads"}`:     `storage must be a list of folders such as ["public/uploads"], but is "uploads"`,
		`{"storage": [{"a": 1}]}`:    `storage[0] must be a string, but is {"a":1}`,
		`{"storage": ["a", "../b"]}`: `storage[1]: a storage is a folder of the tree, such as public/uploads, with at most 80 bytes; not "../b"`,
		`{"storage": ["a/b", "a"]}`:  `storage[1]: a/b, which is kept already, is in a`,

		`{"healthchecks": []}`:                      `healthchecks must be an object such as {"web": [{"path": "/health"}]}, but is []`,
		`{"healthchecks": {"web": {"path": "/a"}}}`: `healthchecks.web must be a list such as [{"path": "/health"}], but is {"path":"/a"}`,
		`{"healthchecks": {"web": ["/a"]}}`:         `healthchecks.web[0] must be an object such as {"path": "/health"}, but is "/a"`,
		`{"healthchecks": {"web": [{"path": "` + strings.Repeat("/", 99) + `"}, ["` + strings.Repeat("a", 99) + `"]]}}`: `healthchecks.web[1] must be an object such as {"path": "/health"}, but is ["` + strings.Repeat("a", 58) + `...`,
	} {
		if got, err := Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "app.json: "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v; want %q", text, got, err, want)
		}
	}
	const seconds = "must be a number of seconds from 0 to 86400, such as 5, but is "
	for check, want := range map[string]string{
		`"type": 1`:                                  `.type must be a string, but is 1`,
		`"name": {}`:                                 `.name must be a string, but is {}`,
		`"path": ["/"]`:                              `.path must be a string, but is ["/"]`,
		`"content": 200`:                             `.content must be a string, but is 200`,
		`"command": "./check"`:                       `.command must be a list of strings such as ["./check", "--fast"], but is "./check"`,
		`"command": ["./check", 1]`:                  `.command[1] must be a string, but is 1`,
		`"port": "80"`:                               `.port must be a whole number from 1 to 65535, but is "80"`,
		`"port": 80.5`:                               `.port must be a whole number from 1 to 65535, but is 80.5`,
		`"attempts": "3"`:                            `.attempts must be a whole number, but is "3"`,
		`"listening": "yes"`:                         `.listening must be true or false, but is "yes"`,
		`"scheme": 1`:                                `.scheme must be a string, but is 1`,
		`"scheme": "https"`:                          `.scheme must be "http", because TLS ends at the front door, but is "https"`,
		`"httpHeaders": {"Host": "a"}`:               `.httpHeaders must be a list such as [{"name": "Host", "value": "example.com"}], but is {"Host":"a"}`,
		`"httpHeaders": ["Host: a"]`:                 `.httpHeaders[0] must be an object such as {"name": "Host", "value": "example.com"}, but is "Host: a"`,
		`"httpHeaders": [{"name": 1}]`:               `.httpHeaders[0].name must be a string, but is 1`,
		`"httpHeaders": [{"name": "a", "value": 1}]`: `.httpHeaders[0].value must be a string, but is 1`,
		`"initialDelay": "1s"`:                       `.initialDelay ` + seconds + `"1s"`,
		`"timeout": "5s"`:                            `.timeout ` + seconds + `"5s"`,
		`"timeout": -1`:                              `.timeout ` + seconds + `-1`,
		`"timeout": [5]`:                             `.timeout ` + seconds + `[5]`,
		`"wait": 1e300`:                              `.wait ` + seconds + `1e300`,
		`"wait": 1e999`:                              `.wait ` + seconds + `1e999`,
		`"uptime": true`:                             `.uptime ` + seconds + `true`,

		`"path": "health"`:                `: path "health": must begin with /`,
		`"path": "/a\r\nHost:"`:           `: path "/a\r\nHost:": must begin with / and have no spaces`,
		`"attempts": -1`:                  `: attempts -1`,
		`"type": "sometimes"`:             `: type "sometimes"`,
		`"command": ["a"], "path": "/"`:   `: a command and a path: use only one`,
		`"port": 70000`:                   `: port 70000: not a port`,
		`"uptime": 3, "type": "liveness"`: `: uptime: only for a startup check`,
	} {
		text := `{"healthchecks": {"web": [{"path": "/"}, {` + check + `}]}}`
		want = "app.json: healthchecks.web[1]" + want
		if got, err := Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v; want %q", text, got, err, want)
		}
	}
}

// A field that is null counts as missing.
func TestParseNull(t *testing.T) {
	for _, text := range []string{
		`null`, `{"formation": null, "healthchecks": null, "scripts": null, "cron": null}`,
		`{"formation": {"web": null}}`, `{"formation": {"web": {"quantity": null}}}`, `{"scripts": {"postdeploy": null, "dokku": null}}`,
	} {
		if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, File{}) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// Read does not follow a link out of the tree.
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
	f.Add([]byte(`{"cron": [{"schedule": 5, "command": null}], "scripts": {"dokku": []}, "formation": {"a\nb": 1e9}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Parse(content)
		if err != nil && (!strings.HasPrefix(err.Error(), "app.json: ") || strings.ContainsAny(err.Error(), "\r\n")) {
			t.Errorf("%q", err)
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
