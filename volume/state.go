package volume

import "time"

// State is how far a release has come:
//
//	queued -> building -> booting -> proving -> ready -> live -> retired
//
// or failed or cancelled, from any state before live. A proving or ready release has the traffic
// already, and the release before it stands by.
type State string

const (
	Queued    State = "queued"    // published; nothing has happened yet
	Building  State = "building"  // it is being built
	Booting   State = "booting"   // its processes start beside the live ones
	Proving   State = "proving"   // it is healthy, has the traffic, and is watched for a while
	Ready     State = "ready"     // it has proved itself, and waits for the commit
	Live      State = "live"      // it has the traffic, and the branch points at its commit
	Retired   State = "retired"   // it was live
	Failed    State = "failed"    // it did not build, boot or stay healthy
	Cancelled State = "cancelled" // its maker left or died before the commit
)

// Decided reports whether a release in this state may be committed, or is over.
func (s State) Decided() bool { return s == Ready || s.Over() }

// Over reports whether this is the last state of a release, except that a live one retires.
func (s State) Over() bool {
	return s == Live || s == Retired || s == Failed || s == Cancelled
}

// Status is what the runtime records about a release, or in mode worktree its maker.
type Status struct {
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"` // one line: "build: npm ci: exit status 1"
	Hint   string    `json:"hint,omitempty"`   // one line: what to do next
	Remedy Remedy    `json:"remedy,omitzero"`  // what to do next, for doors to say
	At     time.Time `json:"at"`               // when the state began

	Prove time.Duration `json:"prove,omitempty"` // proving: how long it is watched
	// Proved is true if it ran for as long as the owner wants a new release to be watched.
	Proved bool `json:"proved,omitempty"`
}
