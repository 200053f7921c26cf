package engine

import (
	"context"
	"io"
	"net"
	"time"

	"paas/volume"
)

// Engine makes builds and runs processes.
type Engine interface {
	Fleet

	// Open makes the engine ready. It comes before all other methods, and blocks until what an earlier
	// life of the server left running has ended, or is among Units.
	Open() error

	// Close ends the engine's work for this server. Nothing is started after it.
	Close() error

	// Isolation reports what keeps apps apart, once the engine is open.
	Isolation() Isolation

	// Build makes a checked-out commit runnable, in place. It blocks until it is done, also when ctx ends, and
	// then leaves no process behind. The error says which command failed, and how.
	Build(ctx context.Context, job BuildJob) (volume.Built, error)

	// Sweep removes what the engine keeps for builds of the app that are gone.
	Sweep(ctx context.Context, app string) error

	// Start starts a process that runs once, and returns without waiting for it to be of use. ctx
	// bounds only the start. The error is a [StartError] where the job is to blame.
	Start(ctx context.Context, job Job) (Process, error)
}

// Isolation is what keeps apps apart from each other and from the server.
type Isolation struct {
	By      string   // what does, and what holds apps to their limits, in a few words
	Open    []string // what apps can do all the same, though they must not
	Missing string   // why nothing keeps them apart; empty: something does
}

// Adopter is an engine that ends other children of the server too if the server is killed. Adopt returns
// the environment variable to start them with.
type Adopter interface{ Adopt(name string) string }

// Fleet keeps units running: it starts their processes, and starts them again when they end, less and less
// often while they fail. Methods that end with ctx return its cause.
type Fleet interface {
	// Want makes unit what is kept running under its name. It returns at once, and calling it again is
	// harmless. Processes that are not among Indexes any more are ended, as by Drop; those that run
	// and still are go on as they are, and what else has changed counts from their next start.
	Want(ctx context.Context, unit Unit) error

	// Drop ends the processes of a unit, with grace between SIGTERM and SIGKILL, and forgets it. It
	// returns at once; each place is listed until nothing of its process is left. Called again, the
	// shorter grace counts. A unit that is not there is no error.
	Drop(ctx context.Context, name UnitName, grace time.Duration) error

	// Units lists the units that are wanted, also those from an earlier life of the caller.
	Units(ctx context.Context) ([]UnitName, error)

	// Places lists the places of an app as they are now.
	Places(ctx context.Context, app string) ([]Place, error)

	// Watch calls changed with the name of each app of which a place has changed, soon after that and once
	// for several changes. It blocks until ctx ends.
	Watch(ctx context.Context, changed func(app string)) error

	// Restart ends the process of a place because of reason, which counts as its end: the next one
	// starts as after a crash. It returns at once, and does nothing where place is about another
	// process than the present one.
	Restart(ctx context.Context, place Place, reason string) error

	// Logs reads what the process of a place has printed since its start, or the last part of it where that
	// is much. With follow the stream goes on until that process has ended; when ctx ends it returns
	// what has come by then, and io.EOF.
	Logs(ctx context.Context, place Place, follow bool) (io.ReadCloser, error)

	// Exec runs a command beside the process of a place, with its files and environment, until the
	// command ends. When ctx ends it is killed. output is the end of what it printed.
	Exec(ctx context.Context, place Place, command Command) (output string, exit Exit, err error)

	// Dial connects to the process of a place, at port, or at the one that it was given where port is 0. The
	// error is [ErrForeign] where another program listens there.
	Dial(ctx context.Context, place Place, port int) (net.Conn, error)

	// Listening lists where the process of a place listens for TCP, as far as that can be found out:
	// "3000" for any or the usual loopback address, "[::1]:3000" for others.
	Listening(ctx context.Context, place Place) []string
}
