package health

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tailscale/hujson"

	"paas/runtime/tree"
)

// Check is how a web process proves that it may have traffic. The zero Check asks only that its
// port answers.
type Check struct {
	Path     string        // to GET, must answer 2xx or 3xx; empty: the port answering is enough
	Content  string        // what the answer must hold in its first 1 MiB; empty: anything
	Timeout  time.Duration // of one request; default 5 s
	Attempts int           // with Wait: how long the answer may be another; default 3
	Wait     time.Duration // default 5 s; asked is far more often, so a good answer is not waited for
	Boot     time.Duration // until the port answers; default 60 s
}

func (c Check) withDefaults() Check {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Wait = cmp.Or(c.Wait, 5*time.Second)
	c.Boot = cmp.Or(c.Boot, 60*time.Second)
	return c
}

// ReadCheck reads the startup check of the web process from the tree's app.json, in the form of
// https://dokku.com/docs/deployment/zero-downtime-deploys/ (seconds, comments allowed). The zero
// Check where there is none.
func ReadCheck(dir string) (Check, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Check{}, err
	}
	defer root.Close()
	if !tree.IsFile(root, "app.json") {
		return Check{}, nil
	}
	content, err := tree.Read(root, "app.json", 1<<20)
	if err != nil {
		return Check{}, err
	}
	return parseCheck(content)
}

// seconds are a JSON number of them, 0 to a day.
type seconds time.Duration

func (s *seconds) UnmarshalJSON(text []byte) error {
	var n float64
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	if n < 0 || n > 24*3600 {
		return fmt.Errorf("%s seconds: not between 0 and a day", text)
	}
	*s = seconds(n * float64(time.Second))
	return nil
}

func parseCheck(content []byte) (Check, error) {
	strict, err := hujson.Standardize(tree.Text(content))
	if err != nil {
		return Check{}, fmt.Errorf("app.json: %w", err)
	}
	var app struct {
		Healthchecks struct {
			Web []struct {
				Type     string   `json:"type"`
				Path     string   `json:"path"`
				Content  string   `json:"content"`
				Command  []string `json:"command"`
				Timeout  seconds  `json:"timeout"`
				Wait     seconds  `json:"wait"`
				Attempts int      `json:"attempts"`
			} `json:"web"`
		} `json:"healthchecks"`
	}
	if err := json.Unmarshal(strict, &app); err != nil {
		return Check{}, fmt.Errorf("app.json: %w", err)
	}
	var check Check
	for _, c := range app.Healthchecks.Web {
		if c.Type != "" && c.Type != "startup" { // liveness and readiness: not of a deploy
			continue
		}
		switch {
		case len(c.Command) > 0:
			return Check{}, errors.New("app.json: healthchecks.web: a command is not supported; use a path")
		case c.Path == "": // the port alone, or an uptime
			continue
		case c.Path[0] != '/' || strings.ContainsAny(c.Path, " \r\n"):
			return Check{}, fmt.Errorf("app.json: healthchecks.web: path %q: must begin with / and have no spaces", c.Path)
		case check.Path != "":
			return Check{}, errors.New("app.json: healthchecks.web: one startup check with a path, not several")
		case c.Attempts < 0 || c.Attempts > 1000:
			return Check{}, fmt.Errorf("app.json: healthchecks.web: attempts %d: not between 0 and 1000", c.Attempts)
		}
		check = Check{Path: c.Path, Content: c.Content, Timeout: time.Duration(c.Timeout), Wait: time.Duration(c.Wait), Attempts: c.Attempts}
	}
	return check, nil
}
