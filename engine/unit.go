package engine

import (
	"fmt"
	"time"

	"paas/volume"
)

// UnitName identifies a unit within an engine.
type UnitName struct {
	App     string
	Release int
	Type    string
	Copy    int // distinguishes units of the same processes: a restart starts one beside the other
}

func (n UnitName) String() string {
	if n.Copy == 0 {
		return fmt.Sprintf("%s.v%d.%s", n.App, n.Release, n.Type)
	}
	return fmt.Sprintf("%s.v%d.%s-%d", n.App, n.Release, n.Type, n.Copy)
}

// Unit is the processes of one type of one release, which an engine keeps running.
type Unit struct {
	Name UnitName
	// Indexes numbers the processes from 1: {1, 3} are web.1 and web.3. If it is empty, none runs,
	// but the engine keeps the unit.
	Indexes []int
	Image   Image
	Argv    []string          // the first word is looked up in the PATH of Env
	Env     map[string]string // all of it; values may contain [Tree], [Data], [Cache] and [Port]
	Limits  volume.Limits     // for each process and all it starts
	Listens bool              // each process gets a [Port] to listen on
	Grace   time.Duration     // between SIGTERM and SIGKILL

	// Stable is how long a process must run so that its end does not count as another failure in a
	// row.
	Stable time.Duration
}

// State is the state of a place.
type State string

const (
	Starting State = "starting" // the process is being started
	Running  State = "running"  // the process runs; the engine does not know its health
	Exited   State = "exited"   // the process has ended, but not its children; Exit is not set yet
	Waiting  State = "waiting"  // the process has ended or did not start; the next one starts at Next
	Stopping State = "stopping" // the place is no longer wanted, and its process is being ended
)

// Place is where one process of a unit runs, and after it its successors.
type Place struct {
	Unit  UnitName
	Index int
	Start int // number of the process: each start has a higher one than those before; 0: none yet

	State    State
	Since    time.Time     // when the process was started; zero: it was not
	PID      int           // process id; 0 if the engine has none
	Addr     string        // host:port to listen on; empty: none
	Limits   volume.Limits // the enforced limits
	Exit     Exit          // how the process ended, if Waiting; otherwise how the previous one did
	Last     []string      // its last lines, at most 20
	Next     time.Time     // when the next process starts, if Waiting
	Restarts int           // how often a process has ended or failed to start
	Failures int           // those in a row, each soon after the start
}

// Same reports whether both refer to the same process.
func (p Place) Same(other Place) bool {
	return p.Unit == other.Unit && p.Index == other.Index && p.Start == other.Start
}

// Command is a command to run beside a process.
type Command struct {
	Argv []string
	Max  int // bytes of output to keep; 0: none
}
