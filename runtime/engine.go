package runtime

import (
	"context"
	"io"
	"net"
	"syscall"
	"time"

	"paas/terminal"
	"paas/volume"
)

// Engine is how builds are made and processes run: [Local] as child processes of this one. The
// seam is small so that another way of running needs nothing else to change.
type Engine interface {
	// Build makes a checked-out commit runnable, in place. It blocks until done, ctx's end included,
	// having left no process behind. The error says which command failed, and how.
	Build(ctx context.Context, job BuildJob) (volume.Built, error)

	// Start starts one process and returns without waiting for it to be of use.
	Start(spec Spec) (Process, error)
}

// BuildJob is one build to make.
type BuildJob struct {
	App       string
	Tree      string            // where the app is in the checked-out commit; its processes run here
	Top       string            // the checked-out commit, where Tree is a folder below it; empty: Tree
	Cache     string            // this app's alone, kept between builds
	Trash     string            // a folder on the same file system: Cache is emptied into it first; empty: it is kept
	InUse     []string          // paths in Cache that finished builds run with, which stay there
	Config    map[string]string // config vars
	Buildpack string            // buildpacks, as in [volume.Settings]
	Out       io.Writer         // what the pusher sees: Step and Detail lines
}

// Spec is one process to start.
type Spec struct {
	App     string
	Release int
	Type    string            // process type; "web" gets $PORT
	Index   int               // from 1
	Tree    string            // working directory
	Top     string            // the build, where Tree is a folder below it; empty: Tree
	Cache   string            // what builds keep, and some processes use
	Data    string            // $DATA_DIR
	Built   volume.Built      // what to run: Processes[Type], or Static
	Line    string            // a command line, as a Procfile has it, in place of Processes[Type]
	Argv    []string          // an argument list, in place of Line: what a person runs once
	Port    int               // $PORT of what has none of its own: a command that is run for a web process
	Config  map[string]string // config vars
	Limits  volume.Limits     // what it may use with all it starts; filled in as it is started
	Out     io.Writer         // what the process prints, both streams; called from one goroutine

	// For what a person runs once; not for static files.
	Err      io.Writer             // standard error, from another goroutine; nil: it goes to Out
	In       io.Reader             // standard input; a Read may still be blocked when the process is done; nil: empty
	Terminal *terminal.Terminal    // in place of three streams; Err is then not used
	Signals  <-chan syscall.Signal // for the process and its group
}

// Process is one started process with everything it started in turn.
type Process interface {
	PID() int     // 0 where it runs inside this process
	Addr() string // "127.0.0.1:31234", where a web process is to listen; empty for others

	Exited() <-chan struct{} // closed as soon as the process itself has ended
	Done() <-chan struct{}   // closed after Exited, when nothing it started is left and its output was read to the end
	Err() error              // after Done: how it ended ("exit status 1", "signal: killed"), an [exec.ExitError] where there is a status; nil for 0

	// Dial connects to addr, "127.0.0.1:31234", where the process itself listens there. The error is [ports.ErrForeign]
	// where another program does.
	Dial(ctx context.Context, addr string) (net.Conn, error)

	// Stop ends the process and all it started: SIGTERM to the group (SIGHUP where it has a terminal),
	// SIGKILL to whatever is left after grace. It blocks until nothing is left, and may be called again and concurrently.
	Stop(grace time.Duration)
}

// held are those of its limits that a process is held to, where the engine tells.
func held(p Process) volume.Limits {
	if p, ok := p.(interface{ Limits() volume.Limits }); ok {
		return p.Limits()
	}
	return volume.Limits{}
}
