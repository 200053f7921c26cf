package engine

import (
	"fmt"
	"time"

	"paas/volume"
)

// UnitName names a unit among all that an engine runs.
type UnitName struct {
	App     string
	Release int
	Type    string
	Copy    int // tells apart units of the same processes: a restart starts one beside the other
}

func (n UnitName) String() string {
	if n.Copy == 0 {
		return fmt.Sprintf("%s.v%d.%s", n.App, n.Release, n.Type)
	}
	return fmt.Sprintf("%s.v%d.%s-%d", n.App, n.Release, n.Type, n.Copy)
}

// Unit is the processes of one type of one release: what an engine is asked to keep running.
type Unit struct {
	Name    UnitName
	Indexes []int // of its processes, from 1: {1, 3} are web.1 and web.3; empty: none runs, and the unit is kept
	Image   Image
	Argv    []string          // the first word is looked up in the PATH of Env
	Env     map[string]string // all of it; values may name [Tree], [Data], [Cache] and [Port]
	Limits  volume.Limits     // what each process may use, with all it starts
	Listens bool              // it is given a [Port] to listen on
	Grace   time.Duration     // between SIGTERM and SIGKILL

	// Stable is how long a process must have run for its end not to count as one more failure in a row.
	Stable time.Duration
}

// State is how a place stands.
type State string

const (
	Starting State = "starting" // its process is being started
	Running  State = "running"  // its process runs; whether it is of use is not for the engine to tell
	Exited   State = "exited"   // its process has ended; what it left is being ended too, and Exit is not known yet
	Waiting  State = "waiting"  // its process has ended, or did not start, as Exit says; the next one starts at Next
	Stopping State = "stopping" // it is not wanted any more, and its process is being ended
)

// Place is where one process of a unit runs, and those that follow it when that ends.
type Place struct {
	Unit  UnitName
	Index int
	Start int // which process this is: each start of the engine's has a higher number than those before; 0: none yet

	State    State
	Since    time.Time     // when the process was started; zero: it was not, or could not be
	PID      int           // of the process; 0 where the engine has no number for it
	Addr     string        // where the process is to listen: host and port; empty: nowhere
	Limits   volume.Limits // those that the process is held to
	Exit     Exit          // how the process ended, in [Waiting]; before, how the last one did
	Last     []string      // what that one printed last, at most 20 lines
	Next     time.Time     // when the next process starts, in [Waiting]
	Restarts int           // how often a process has ended here, or did not start, since the first
	Failures int           // those in a row, each soon after the start
}

// Same reports whether both are about the same process.
func (p Place) Same(other Place) bool {
	return p.Unit == other.Unit && p.Index == other.Index && p.Start == other.Start
}

// Command is what to run beside a process.
type Command struct {
	Argv []string
	Max  int // bytes of output that are kept; 0: none
}
