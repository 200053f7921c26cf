package volume

import "time"

// State is how far a release has come:
//
//	queued -> building -> booting -> ready -> live -> retired
//
// or, from any before live, failed or cancelled.
type State string

const (
	Queued    State = "queued"    // published, not looked at yet
	Building  State = "building"  // its build is being made
	Booting   State = "booting"   // its processes start, beside the live ones
	Ready     State = "ready"     // healthy, waiting for the commit
	Live      State = "live"      // gets the traffic
	Retired   State = "retired"   // was live
	Failed    State = "failed"    // did not build, boot or stay healthy
	Cancelled State = "cancelled" // its pusher left, or died, before the commit
)

// Decided says whether a release in this state has its verdict: ready to be committed, or out.
func (s State) Decided() bool { return s != Queued && s != Building && s != Booting }

// Over says whether nothing more happens in this state before the release is made live again.
func (s State) Over() bool {
	return s == Live || s == Retired || s == Failed || s == Cancelled
}

// Status is what the runtime says of a release, or in watch mode who made it.
type Status struct {
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"` // one line: "build: npm ci: exit status 1"
	Hint   string    `json:"hint,omitempty"`   // one line: what to do next
	At     time.Time `json:"at"`               // when the state began
}
