package runtime

import (
	"math/rand/v2"
	"time"
)

const (
	backoffMin  = time.Second / 10 // before the first restart of a process that died
	backoffMax  = 30 * time.Second
	stableAfter = time.Minute // a process that lived this long has earned a fresh backoff
	downAfter   = 5           // this many deaths in a row are a crash loop: visitors are told
)

// backoff is how long to wait before the next start after the given number of deaths in a row:
// twice as long each time, and up to a quarter less by chance, so that processes that died together do
// not start together.
func backoff(deaths int) time.Duration {
	d := min(backoffMax, backoffMin<<min(max(deaths-1, 0), 10))
	return d - rand.N(d/4+1)
}
