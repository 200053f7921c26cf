package engine

import (
	"context"
	"io"
	"net"
	"time"

	"paas/volume"
)

// Engine builds commits and runs processes.
type Engine interface {
	Fleet

	// Open prepares the engine. Call it before all other methods. It blocks until every process that
	// an earlier server left has ended or is in Units.
	Open() error

	// Close ends the engine's work for this server: what Start and Build run. It also ends units and
	// detached jobs, unless the engine keeps them for the next server. It starts nothing afterwards.
	Close() error

	// Adopt returns variables for the environment of another child of the server: the engine then ends
	// that child too, with all it starts, if the server is killed. An engine that cannot do so returns
	// none. Call it after Open.
	Adopt(name string) []string

	// Isolation describes how apps are isolated. Call it after Open.
	Isolation() Isolation

	// Build makes a checked-out commit runnable, in place. It blocks until it is done or ctx ends, and
	// leaves no process behind. The error names the command that failed, and how.
	Build(ctx context.Context, job BuildJob) (volume.Built, error)

	// Sweep removes what the engine keeps for removed builds of the app.
	Sweep(ctx context.Context, app string) error

	// Start starts a process that runs once, and returns at once. ctx limits only the start. If the
	// job is to blame, the error is a [StartError].
	Start(ctx context.Context, job Job) (Process, error)

	// Runs lists the detached jobs, the oldest first, including those from an earlier server and those
	// that have ended.
	Runs(ctx context.Context) ([]Run, error)

	// Forget removes a detached job that has ended from the list. An unknown one is not an error.
	Forget(ctx context.Context, id string) error
}

// Isolation describes what isolates apps from each other and from the server.
type Isolation struct {
	By      string   // what isolates and limits apps, in a few words
	Open    []string // what apps can do although they should not
	Missing string   // why there is no isolation; empty: there is some
}

// Fleet keeps units running: it starts their processes and restarts them when they end, with
// growing delays if they fail. Methods that end with ctx return its cause.
type Fleet interface {
	// Want makes the engine keep the unit running, and replaces an earlier unit of the same name. It
	// returns at once; calling it again is harmless. Processes that are no longer in Indexes are
	// ended, as by Drop. The others go on; other changes take effect when they next start.
	Want(ctx context.Context, unit Unit) error

	// Drop ends the processes of a unit, with grace between SIGTERM and SIGKILL, and forgets the unit.
	// It returns at once; each place stays listed until its process and all its children have ended.
	// If it is called again, the shorter grace counts. An unknown unit is not an error.
	Drop(ctx context.Context, name UnitName, grace time.Duration) error

	// Units lists the wanted units, including those from an earlier server.
	Units(ctx context.Context) ([]UnitName, error)

	// Places lists the current places of an app.
	Places(ctx context.Context, app string) ([]Place, error)

	// Watch calls changed with the name of each app that has a changed place, soon after the change
	// and once for several changes. It blocks until ctx ends.
	Watch(ctx context.Context, changed func(app string)) error

	// Restart ends the process of a place for reason, and starts the next one as after a crash. It
	// returns at once. It does nothing if place refers to an earlier process.
	Restart(ctx context.Context, place Place, reason string) error

	// Logs reads the output of a place's process since its start, or the end of it if there is much.
	// With follow, the stream continues until that process has ended. If ctx ends, it returns the
	// output so far and then io.EOF.
	Logs(ctx context.Context, place Place, follow bool) (io.ReadCloser, error)

	// Exec runs a command beside the process of a place, with the same files and environment, until
	// the command ends. If ctx ends, the command is killed. output is the end of its output.
	Exec(ctx context.Context, place Place, command Command) (output string, exit Exit, err error)

	// Dial connects to the process of a place at port, or at its own port if port is 0. If another
	// program listens there, the error is [ErrForeign].
	Dial(ctx context.Context, place Place, port int) (net.Conn, error)

	// Listening lists the TCP addresses where the process of a place listens, if that can be found
	// out: "3000" for any or the usual loopback address, "[::1]:3000" for others.
	Listening(ctx context.Context, place Place) []string
}
