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

// untilNext is how long to wait for the next look at a source that has been in trouble for down; zero:
// it is well. It is the period, or a quarter of down if that is longer, up to five minutes or the period
// itself, whichever is longer; a tenth more or less, as dice in [0, 1) say. So what is well again is
// noticed soon, in proportion to the time it was away, and nobody is asked more often than in good
// times.
func untilNext(every, down time.Duration, dice float64) time.Duration {
	return jittered(min(max(every, down/4), max(every, maxBackoff)), dice)
}

func jittered(d time.Duration, dice float64) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*dice))
}

func roll() float64 { return rand.Float64() }
