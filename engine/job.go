package engine

import (
	"io"
	"time"

	"paas/volume"
)

// BuildJob is one build to make.
type BuildJob struct {
	Image     Image
	Config    map[string]string // config vars
	Buildpack string            // buildpacks, as in [volume.Settings]
	Out       io.Writer         // what the pusher sees: Step and Detail lines

	ClearCache bool     // what earlier builds have kept is removed first
	InUse      []string // what they kept and finished builds run with, by [Cache]: it stays
}

// Job is a process that runs once, to its end.
type Job struct {
	App     string
	Release int
	Type    string // for people: "run", "release", "cron"
	Index   int    // from 1
	Image   Image
	Argv    []string          // the first word is looked up in the PATH of Env
	Env     map[string]string // all of it; values may name [Tree], [Data] and [Cache]
	Limits  volume.Limits     // what it may use, with all it starts

	Out      io.Writer // what it prints, both streams; called from one goroutine
	Err      io.Writer // standard error, from another goroutine; nil: it goes to Out
	In       io.Reader // standard input; a Read may still be blocked when the process has ended; nil: empty
	Terminal *Terminal // in place of three streams; Err is then not used
}

// Terminal is a person's terminal.
type Terminal struct {
	Type          string // for $TERM: "xterm-256color"
	Columns, Rows uint16 // when the process starts; 0: unknown
}

// Process is one started process, with everything it started in turn.
type Process interface {
	PID() int              // 0 where the engine has no number for it
	Limits() volume.Limits // those of its job that it is held to
	Done() <-chan struct{} // closed when nothing of it is left and its output was read to the end
	Exit() Exit            // how it ended; after Done

	// Signal sends the process and its group a signal, by number.
	Signal(number int)

	// Resize tells the process that its terminal has another size now.
	Resize(columns, rows uint16)

	// Stop ends the process and all it started: SIGTERM (SIGHUP where it has a terminal), then SIGKILL
	// to whatever is left after grace. It blocks until nothing is left, and may be called again and
	// concurrently.
	Stop(grace time.Duration)
}
