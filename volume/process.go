package volume

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"
)

// Process is one running (or just now not running) process of an app, as ps shows it.
type Process struct {
	Type     string    `json:"type"`
	Index    int       `json:"index"`
	Release  int       `json:"release"`
	State    string    `json:"state"` // starting, running, standby, unready, crashed, stopping
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	Reason   string    `json:"reason,omitempty"`  // why it is not running: "exit status 1"
	Last     []string  `json:"last,omitempty"`    // crashed: the last lines it printed
	Next     time.Time `json:"next,omitzero"`     // crashed: when it is started again
	Restart  string    `json:"restart,omitempty"` // token of the last ps:restart that was done for it, or has failed
	Failure  string    `json:"failure,omitempty"` // why that failed; the process from before goes on
	Limits   Limits    `json:"limits,omitzero"`   // those that it is held to
}

// Crashed is the state of a process that has ended and waits for its next start.
const Crashed = "crashed"

// CrashedOf lists the processes of release n that have crashed.
func (a App) CrashedOf(n int) ([]Process, error) {
	all, err := a.Processes()
	return slices.DeleteFunc(all, func(p Process) bool { return p.State != Crashed || p.Release != n }), err
}

// Name is the process as people write it: web.1.
func (p Process) Name() string { return p.Type + "." + strconv.Itoa(p.Index) }

// Processes reads what runs of the app now.
func (a App) Processes() ([]Process, error) {
	p, err := read[[]Process](a, "processes.json", "the server writes it again within a minute")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return p, err
}

// SetProcesses says what runs of the app now. For the runtime alone.
func (a App) SetProcesses(p []Process) error {
	if len(p) == 0 {
		if said, err := a.Processes(); err == nil && len(said) == 0 { // two hundred apps asleep, as a server starts
			return nil
		}
	}
	return a.tell("processes.json", p) // somebody may wait for a process
}
