package volume

import (
	"errors"
	"io/fs"
	"time"
)

// Cron is what the app runs on a schedule, and how its runs ended.
type Cron struct {
	Release int         `json:"release"`        // that the entries are of; 0: none
	Zone    string      `json:"zone,omitempty"` // time zone of the schedules; empty: the server's
	Entries []CronEntry `json:"entries"`        // in order of their numbers
	// Asked are runs that a person asked for: those under way, and the last that have ended.
	Asked []CronRun `json:"asked,omitempty"`
}

// CronEntry is one command that runs on a schedule.
type CronEntry struct {
	ID       int       `json:"id"`
	From     string    `json:"from"` // process type of its Procfile line, or "app.json"
	Schedule string    `json:"schedule"`
	Command  string    `json:"command"`
	Log      string    `json:"log"` // name of its log: "cron.1"
	Policy   string    `json:"concurrency_policy"`
	Next     time.Time `json:"next,omitzero"` // when it is due; zero: it does not run
	Tick     time.Time `json:"tick,omitzero"` // when it was last due
	// Skipped is when it was last due, but skipped because an earlier run was under way.
	Skipped time.Time `json:"skipped,omitzero"`
	Last    *CronRun  `json:"last,omitempty"` // the run that began last
}

// CronRun is one run of an entry.
type CronRun struct {
	Entry   int           `json:"entry"` // its number at that time
	Release int           `json:"release,omitempty"`
	At      time.Time     `json:"at"` // when it began
	Took    time.Duration `json:"took,omitempty"`
	// Result is "ok", "exit status 1", "killed: ..." or "skipped: ..."; empty: it is under way.
	Result string `json:"result,omitempty"`
	Status int    `json:"status"`          // exit status
	Token  string `json:"token,omitempty"` // of the [CronRequest]; empty: nobody asked
}

// CronRequest asks the runtime to run an entry now.
type CronRequest struct {
	Entry int    `json:"entry"`
	Token string `json:"token"`
}

// Cron reads what the app runs on a schedule.
func (a App) Cron() (Cron, error) {
	c, err := read[Cron](a, "cron.json", "the server writes it again within a minute")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, err
}

// SetCron records what the app runs on a schedule. Only the runtime calls it.
func (a App) SetCron(c Cron) error {
	return a.tell("cron.json", c) // a command may wait for a run
}
