package cron

// Policy is what to do when a run is due and an earlier one has not ended.
type Policy string

const (
	Forbid  Policy = "forbid"  // skip the new run; the default
	Allow   Policy = "allow"   // run both, up to maxBeside
	Replace Policy = "replace" // stop the old run, then start the new one
)

// maxBeside is the maximum number of simultaneous runs of one entry. Otherwise runs that never end
// would fill the machine.
const maxBeside = 20

// Step is what to do when a run is due.
type Step int

const (
	Run Step = iota
	Skip
	StopFirst // then run
)

// Decide returns what to do if n runs of the entry have not ended.
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
