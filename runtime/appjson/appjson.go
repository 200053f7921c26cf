package appjson

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tailscale/hujson"

	"paas/runtime/health"
	"paas/runtime/tree"
)

// File is what an app.json says.
type File struct {
	Formation  map[string]int            // process type -> how many processes; types that are not named are not there
	Checks     map[string][]health.Check // process type -> health checks, in order
	Predeploy  string                    // a command line, run before the release phase
	Postdeploy string                    // a command line, run when the processes are healthy, before they get traffic
	FirstTime  string                    // as Postdeploy, in the app's first release alone
	Cron       []Cron
}

// Cron is a command that runs by the clock.
type Cron struct {
	Schedule    string // five fields, or @daily and the like: crontab(5)
	Command     string // a command line, as a Procfile has it
	Concurrency string // what to do while the last run goes on: forbid, allow or replace; empty: forbid
}

const maxSize = 1 << 20 // bytes; real ones have a few hundred

// Read reads the app.json at the top of dir; the zero File where there is none.
func Read(dir string) (File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return File{}, err
	}
	defer root.Close()
	if !tree.IsFile(root, "app.json") {
		return File{}, nil
	}
	content, err := tree.Read(root, "app.json", maxSize)
	if err != nil {
		return File{}, err
	}
	return Parse(content)
}

// Parse reads the content of an app.json. Its error begins with the file's name and says what is
// wrong in it.
func Parse(content []byte) (File, error) {
	f, err := parse(content)
	if err != nil {
		return File{}, fmt.Errorf("app.json: %w", err)
	}
	return f, nil
}

// schema is the part of the format that is read.
type schema struct {
	Formation map[string]struct {
		Quantity *int `json:"quantity"`
	} `json:"formation"`
	Healthchecks map[string][]check `json:"healthchecks"`
	Scripts      struct {
		Postdeploy string `json:"postdeploy"`
		Dokku      struct {
			Predeploy  string `json:"predeploy"`
			Postdeploy string `json:"postdeploy"`
		} `json:"dokku"`
	} `json:"scripts"`
	Cron []struct {
		Command     string `json:"command"`
		Schedule    string `json:"schedule"`
		Concurrency string `json:"concurrency_policy"`
	} `json:"cron"`
}

type check struct {
	Type      health.Type `json:"type"`
	Name      string      `json:"name"`
	Path      string      `json:"path"`
	Content   string      `json:"content"`
	Command   []string    `json:"command"`
	Port      int         `json:"port"`
	Scheme    string      `json:"scheme"`
	Headers   []header    `json:"httpHeaders"`
	Delay     seconds     `json:"initialDelay"`
	Timeout   seconds     `json:"timeout"`
	Wait      seconds     `json:"wait"`
	Uptime    seconds     `json:"uptime"`
	Attempts  int         `json:"attempts"`
	Listening bool        `json:"listening"` // of a web process that is asked of each anyway
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// seconds are a JSON number of them.
type seconds time.Duration

func (s *seconds) UnmarshalJSON(text []byte) error {
	var n float64
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	if n < 0 || n > 24*3600 { // a larger one does not fit a duration
		return fmt.Errorf("%s seconds: not between 0 and a day", text)
	}
	*s = seconds(n * float64(time.Second))
	return nil
}

// maxProcesses is how many processes of one type may be asked for.
const maxProcesses = 100

func parse(content []byte) (File, error) {
	strict, err := hujson.Standardize(tree.Text(content))
	if err != nil {
		return File{}, err
	}
	var s schema
	if err := json.Unmarshal(strict, &s); err != nil {
		return File{}, err
	}
	f := File{Predeploy: s.Scripts.Dokku.Predeploy, Postdeploy: s.Scripts.Dokku.Postdeploy, FirstTime: s.Scripts.Postdeploy}
	for name, process := range s.Formation {
		if process.Quantity == nil {
			continue
		}
		if err := CheckQuantity(*process.Quantity); err != nil {
			return File{}, fmt.Errorf("formation.%s: %w", name, err)
		}
		if f.Formation == nil {
			f.Formation = map[string]int{}
		}
		f.Formation[name] = *process.Quantity
	}
	for name, checks := range s.Healthchecks {
		for _, c := range checks {
			converted, err := c.convert()
			if err != nil {
				return File{}, fmt.Errorf("healthchecks.%s: %w", name, err)
			}
			if f.Checks == nil {
				f.Checks = map[string][]health.Check{}
			}
			f.Checks[name] = append(f.Checks[name], converted)
		}
	}
	for i, c := range s.Cron {
		if c.Command == "" || c.Schedule == "" {
			return File{}, fmt.Errorf("cron, entry %d: needs a schedule and a command", i+1)
		}
		switch c.Concurrency {
		case "", "forbid", "allow", "replace":
		default:
			return File{}, fmt.Errorf("cron, entry %d: concurrency_policy %q: must be forbid, allow or replace", i+1, c.Concurrency)
		}
		f.Cron = append(f.Cron, Cron{Schedule: c.Schedule, Command: c.Command, Concurrency: c.Concurrency})
	}
	return f, nil
}

// CheckQuantity says why there cannot be n processes of a type, or nil.
func CheckQuantity(n int) error {
	if n < 0 || n > maxProcesses {
		return fmt.Errorf("%d processes: not between 0 and %d", n, maxProcesses)
	}
	return nil
}

func (c check) convert() (health.Check, error) {
	h := health.Check{
		Type: c.Type, Name: c.Name, Path: c.Path, Content: c.Content, Command: c.Command, Port: c.Port,
		Delay: time.Duration(c.Delay), Timeout: time.Duration(c.Timeout), Wait: time.Duration(c.Wait),
		Uptime: time.Duration(c.Uptime), Attempts: c.Attempts,
	}
	if c.Scheme != "" && c.Scheme != "http" {
		return h, fmt.Errorf("scheme %q: processes here speak http; TLS ends at the front door", c.Scheme)
	}
	for _, header := range c.Headers {
		if h.Headers == nil {
			h.Headers = map[string]string{}
		}
		h.Headers[header.Name] = header.Value
	}
	return h, h.Validate()
}
