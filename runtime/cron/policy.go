package cron

// Policy is what to do about a tick while an earlier run goes on.
type Policy string

const (
	Forbid  Policy = "forbid"  // leave the tick out; the default
	Allow   Policy = "allow"   // run beside it, up to maxBeside
	Replace Policy = "replace" // stop it, and run when it has ended
)

// maxBeside is how many runs of one entry may go on at a time: runs that never end would else fill the
// machine.
const maxBeside = 20

// Step is what a tick comes to.
type Step int

const (
	Run Step = iota
	Skip
	StopFirst // then run
)

// Decide says what a tick comes to while so many runs of its entry go on.
func (p Policy) Decide(running int) Step {
	switch {
	case running == 0:
		return Run
	case p == Replace:
		return StopFirst
	case p == Allow && running < maxBeside:
		return Run
	}
	return Skip
}
