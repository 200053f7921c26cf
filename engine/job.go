package engine

import (
	"io"
	"time"

	"paas/volume"
)

// BuildJob describes a build.
type BuildJob struct {
	Image     Image
	Config    map[string]string // config vars
	Buildpack string            // buildpacks, as in [volume.Settings]
	Out       io.Writer         // for the pusher: Step and Detail lines

	ClearCache bool     // first remove what earlier builds have kept
	InUse      []string // kept files, by their [Cache] path, that finished builds still need
}

// Job describes a process that runs once.
type Job struct {
	App     string
	Release int
	Type    string // for people: "run", "release" or "cron"
	Index   int    // from 1
	Image   Image
	Argv    []string          // the first word is looked up in the PATH of Env
	Env     map[string]string // the whole environment; values may contain placeholders, such as [Tree]
	Limits  volume.Limits     // for the process and all it starts
	Grace   time.Duration     // between SIGTERM and SIGKILL if it ends because its server has ended

	Out      io.Writer // both outputs; called from one goroutine
	Err      io.Writer // standard error, called from another goroutine; nil: it goes to Out
	In       io.Reader // standard input; a Read may still block after Done; nil: empty
	Terminal *Terminal // instead of the three streams; Err is then unused

	Detached *Detached // it goes on when its server ends; nil: it ends too
}

// Detached is what a [Job] has that goes on when its server ends. Its streams and Terminal are
// unused.
type Detached struct {
	ID   string // no other job of the engine has it
	Log  string // the log of the app that the engine writes both outputs to: "run.3"
	Note string // for the next server
}

// Run is a detached job.
type Run struct {
	Job     // without its command and environment
	Process // Limits are the enforced ones

	Since time.Time // when it was started
	Ended time.Time // zero: it runs
}

// Limits implements [Process].
func (r Run) Limits() volume.Limits { return r.Process.Limits() }

// Terminal is a person's terminal.
type Terminal struct {
	Type          string // for $TERM: "xterm-256color"
	Columns, Rows uint16 // when the process starts; 0: unknown
}

// Process is a started process with everything that it starts.
type Process interface {
	PID() int              // 0 if the engine has no process id for it
	Limits() volume.Limits // the enforced limits of its job
	Done() <-chan struct{} // closed when none of its processes is left and all output was read
	Exit() Exit            // valid after Done

	// Signal sends a signal, by number, to the process and its group.
	Signal(number int)

	// Resize tells the process the new size of its terminal.
	Resize(columns, rows uint16)

	// Stop sends SIGTERM (SIGHUP if it has a terminal) to the process and all it started, and
	// SIGKILL to what is left after grace. It blocks until no process is left. It may be called
	// repeatedly and concurrently.
	Stop(grace time.Duration)
}
