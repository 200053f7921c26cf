package volume

import "time"

// State is how far a release has come:
//
//	queued -> building -> booting -> proving -> ready -> live -> retired
//
// or, from any before live, failed or cancelled. A proving or ready release has the traffic already,
// while the one before it stands by.
type State string

const (
	Queued    State = "queued"    // published, not looked at yet
	Building  State = "building"  // its build is being made
	Booting   State = "booting"   // its processes start, beside the live ones
	Proving   State = "proving"   // healthy, gets the traffic, and is watched for a while
	Ready     State = "ready"     // has proved itself, waits for the commit
	Live      State = "live"      // gets the traffic, and the branch is at its commit
	Retired   State = "retired"   // was live
	Failed    State = "failed"    // did not build, boot or stay healthy
	Cancelled State = "cancelled" // its pusher left, or died, before the commit
)

// Decided reports whether a release in this state has its verdict: it may be committed, or it is over.
func (s State) Decided() bool { return s == Ready || s.Over() }

// Over reports whether nothing more happens to a release in this state, but that a live one retires.
func (s State) Over() bool {
	return s == Live || s == Retired || s == Failed || s == Cancelled
}

// Status is what the runtime records of a release, or in watch mode its maker.
type Status struct {
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"` // one line: "build: npm ci: exit status 1"
	Hint   string    `json:"hint,omitempty"`   // one line: what to do next
	At     time.Time `json:"at"`               // when the state began

	Prove  time.Duration `json:"prove,omitempty"`  // proving: how long it is watched
	Proved bool          `json:"proved,omitempty"` // it ran for as long as the owner wants to watch a new release
}
