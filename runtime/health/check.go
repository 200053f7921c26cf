package health

import (
	"cmp"
	"fmt"
	"time"
)

// Check is one thing that a process is asked, in the form of app.json
// (https://dokku.com/docs/deployment/zero-downtime-deploys/). The zero Check of a process that has
// an address asks only that its port answers; of another, nothing.
type Check struct {
	Type Type   // default Startup
	Name string // for people; default its path or command

	Path    string            // to GET, must answer 2xx or 3xx; empty: the port answering is enough
	Content string            // what the answer must hold in its first 1 MiB; empty: anything
	Headers map[string]string // sent with the request
	Port    int               // default the process's own ($PORT)
	Command []string          // run in the process's environment, must exit with 0; in place of asking the port
	Uptime  time.Duration     // how long it must have run; in place of asking the port; of a startup check alone

	Delay    time.Duration // before the first attempt; default 0
	Timeout  time.Duration // of one attempt; default 5 s
	Attempts int           // how many may fail; default 3
	Wait     time.Duration // between attempts; default 5 s. Starting is asked far more often: a good answer is not waited for
	Boot     time.Duration // until the port answers, when starting; default 60 s
}

// Type is when a check is made.
type Type string

const (
	Startup   Type = "startup"   // before the process may have traffic
	Liveness  Type = "liveness"  // while it runs: failing, it is started anew
	Readiness Type = "readiness" // while it runs: failing, it gets no traffic until it passes again
)

// What people may ask for.
const (
	maxAttempts = 1000
	maxTime     = 24 * time.Hour
)

// Validate says what is wrong with the check, as its owner wrote it.
func (c Check) Validate() error {
	switch {
	case c.Type != "" && c.Type != Startup && c.Type != Liveness && c.Type != Readiness:
		return fmt.Errorf("type %q: must be startup, liveness or readiness", c.Type)
	case c.Path != "" && !plainPath(c.Path):
		return fmt.Errorf("path %q: must begin with / and have no spaces", c.Path)
	case c.Attempts < 0 || c.Attempts > maxAttempts:
		return fmt.Errorf("attempts %d: not between 0 and %d", c.Attempts, maxAttempts)
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port %d: not a port", c.Port)
	case len(c.Command) > 0 && c.Path != "":
		return fmt.Errorf("a command and a path: one of them")
	case c.Uptime > 0 && c.Type != "" && c.Type != Startup:
		return fmt.Errorf("uptime: only of a startup check")
	}
	for _, d := range []time.Duration{c.Delay, c.Timeout, c.Wait, c.Uptime} {
		if d < 0 || d > maxTime {
			return fmt.Errorf("%v seconds: not between 0 and a day", d.Seconds())
		}
	}
	return nil
}

func plainPath(path string) bool {
	for _, c := range path {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return path[0] == '/'
}

// String is the check as an error names it.
func (c Check) String() string {
	switch {
	case c.Name != "":
		return c.Name
	case len(c.Command) > 0:
		return c.Command[0]
	case c.Path != "":
		return "GET " + c.Path
	}
	return "port"
}

func (c Check) withDefaults() Check {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Wait = cmp.Or(c.Wait, 5*time.Second)
	c.Boot = cmp.Or(c.Boot, 60*time.Second)
	return c
}
