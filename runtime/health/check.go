package health

import (
	"cmp"
	"fmt"
	"time"
)

// Check is a health check in the form of app.json
// (https://dokku.com/docs/deployment/zero-downtime-deploys/). The zero Check of a process with an
// address asks only for its port; that of another process asks nothing.
type Check struct {
	Type Type   // default Startup
	Name string // for people; default its path or command

	Path    string            // to GET; the answer must be 2xx or 3xx; empty: only the port is asked
	Content string            // must be in the first 1 MiB of the answer; empty: anything
	Headers map[string]string // of the request
	Port    int               // default: the process's own port ($PORT)
	Command []string          // instead: run in the process's environment; must exit with 0
	Uptime  time.Duration     // instead: how long it must have run; startup checks only

	Delay    time.Duration // before the first attempt; default 0
	Timeout  time.Duration // of one attempt; default 5 s
	Attempts int           // maximum number of failed attempts; default 3
	Wait     time.Duration // between attempts, except for startup checks; default 5 s
	Boot     time.Duration // time for the port to accept connections at the start; default 60 s
}

// Type is when a check is made.
type Type string

const (
	Startup   Type = "startup"   // before the process may have traffic
	Liveness  Type = "liveness"  // while it runs; if it fails, it is restarted
	Readiness Type = "readiness" // while it runs; if it fails, it gets no traffic until it passes
)

// Limits for what people may set.
const (
	maxAttempts = 1000
	maxTime     = 24 * time.Hour
)

// Validate returns an error if the check is wrong.
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
		return fmt.Errorf("a command and a path: use only one")
	case c.Uptime > 0 && c.Type != "" && c.Type != Startup:
		return fmt.Errorf("uptime: only for a startup check")
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

// String returns the check's name in errors.
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
