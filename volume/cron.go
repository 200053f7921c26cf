package volume

import (
	"errors"
	"io/fs"
	"time"
)

// Cron is what runs of an app by the clock, and what became of it, as cron shows it.
type Cron struct {
	Release int         `json:"release"`         // whose entries these are; 0: no release runs any
	Zone    string      `json:"zone,omitempty"`  // time zone they go by; empty: the server's
	Entries []CronEntry `json:"entries"`         // in order of their numbers
	Asked   []CronRun   `json:"asked,omitempty"` // by cron:run: those that go on, and the last that have ended
}

// CronEntry is one command that runs by the clock.
type CronEntry struct {
	ID       int       `json:"id"`
	From     string    `json:"from"` // process type of its Procfile line, or "app.json"
	Schedule string    `json:"schedule"`
	Command  string    `json:"command"`
	Policy   string    `json:"concurrency_policy"`
	Next     time.Time `json:"next,omitzero"`    // when it is due; zero: it does not run now
	Tick     time.Time `json:"tick,omitzero"`    // when it was last due
	Skipped  time.Time `json:"skipped,omitzero"` // when it was last due and left out, since an earlier run went on
	Last     *CronRun  `json:"last,omitempty"`   // the last run to begin
}

// CronRun is one run of an entry.
type CronRun struct {
	Entry   int           `json:"entry"` // its number then
	Release int           `json:"release,omitempty"`
	At      time.Time     `json:"at"` // when it began
	Took    time.Duration `json:"took,omitempty"`
	Result  string        `json:"result,omitempty"` // "ok", "exit status 1", "killed: ...", "skipped: ..."; empty: it goes on
	Status  int           `json:"status"`           // exit status
	Token   string        `json:"token,omitempty"`  // of the cron:run that asked for it
}

// CronRequest asks the runtime for one run of an entry now.
type CronRequest struct {
	Entry int    `json:"entry"`
	Token string `json:"token"`
}

// Cron reads what runs of the app by the clock.
func (a App) Cron() (Cron, error) {
	c, err := read[Cron](a, "cron.json", "the server writes it again within a minute")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, err
}

// SetCron says what runs of the app by the clock. For the runtime alone.
func (a App) SetCron(c Cron) error {
	return a.tell("cron.json", c) // somebody may wait for a run
}
