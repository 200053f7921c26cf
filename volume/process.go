package volume

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"
)

// Process is one process of an app that runs or should run.
type Process struct {
	Type     string    `json:"type"`
	Index    int       `json:"index"`
	Release  int       `json:"release"`
	State    string    `json:"state"` // starting, running, standby, unready, crashed, stopping
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	Reason   string    `json:"reason,omitempty"` // why it is not running: "exit status 1"
	Last     []string  `json:"last,omitempty"`   // crashed: the last lines it printed
	Next     time.Time `json:"next,omitzero"`    // crashed: when it is started again
	// Restart is the token of the last restart that was done for it, or has failed.
	Restart string `json:"restart,omitempty"`
	// Failure is why that restart failed; the process from before goes on.
	Failure string `json:"failure,omitempty"`
	Remedy  Remedy `json:"remedy,omitzero"` // what to do about Reason or Failure
	Limits  Limits `json:"limits,omitzero"` // that are in force for it
}

// Crashed is the state of a process that has ended and waits to be started again.
const Crashed = "crashed"

// CrashedOf lists the processes of release n that have crashed.
func (a App) CrashedOf(n int) ([]Process, error) {
	all, err := a.Processes()
	return slices.DeleteFunc(
		all, func(p Process) bool { return p.State != Crashed || p.Release != n },
	), err
}

// Name returns what people call the process: web.1.
func (p Process) Name() string { return p.Type + "." + strconv.Itoa(p.Index) }

// Processes reads which processes of the app run.
func (a App) Processes() ([]Process, error) {
	p, err := read[[]Process](a, "processes.json", "the server writes it again within a minute")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return p, err
}

// SetProcesses records which processes of the app run. Only the runtime calls it.
func (a App) SetProcesses(p []Process) error {
	if len(p) == 0 {
		// spares a write for each of two hundred apps that sleep when a server starts
		if said, err := a.Processes(); err == nil && len(said) == 0 {
			return nil
		}
	}
	return a.tell("processes.json", p) // a command may wait for a process
}
