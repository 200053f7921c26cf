package sidecar

import (
	"math/rand/v2"
	"time"
)

// phase is when a source is polled for the first time.
type phase int

const (
	atOnce phase = iota
	// at a random moment of the first interval, because at a start all sources are new
	anyPhase
)

func (p phase) wait(every time.Duration, dice float64) time.Duration {
	if p == atOnce {
		return 0
	}
	return time.Duration(dice * float64(every))
}

const (
	maxBackoff = 5 * time.Minute
	jitter     = 0.1 // of a pause, up or down
)

// untilNext is how long to wait for the next poll of a source that has been in trouble for down;
// zero: it is in none. It is the interval, or a quarter of down if that is longer, up to five
// minutes or the interval, whichever is longer; give or take a tenth, as dice in [0, 1) says. So
// the end of trouble is noticed soon, in proportion to its length, and no source is polled more
// often than usual.
func untilNext(every, down time.Duration, dice float64) time.Duration {
	return jittered(min(max(every, down/4), max(every, maxBackoff)), dice)
}

func jittered(d time.Duration, dice float64) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*dice))
}

func roll() float64 { return rand.Float64() }
