package sidecar

import (
	"math/rand/v2"
	"time"
)

// phase says when a source is looked at for the first time.
type phase int

const (
	atOnce   phase = iota
	anyPhase       // at a random moment of its first period: at a start all are new
)

func (p phase) wait(every time.Duration, dice float64) time.Duration {
	if p == atOnce {
		return 0
	}
	return time.Duration(dice * float64(every))
}

const (
	maxBackoff = 5 * time.Minute
	jitter     = 0.1 // of a pause, to either side
)

// pause is how long to wait for the next look after so many failures in a row: the period, doubled
// with each failure up to five minutes or the period itself, whichever is longer; a tenth more or
// less, as dice in [0, 1) say.
func pause(every time.Duration, failures int, dice float64) time.Duration {
	longest := max(every, maxBackoff)
	wait := every
	for ; failures > 0 && wait < longest; failures-- {
		wait = min(2*wait, longest)
	}
	return time.Duration(float64(wait) * (1 - jitter + 2*jitter*dice))
}

func roll() float64 { return rand.Float64() }
