package keep

import (
	"math/rand/v2"
	"time"
)

const (
	backoffMin = time.Second / 10 // before the first restart of a process that ended
	backoffMax = 30 * time.Second
)

// backoff is how long to wait before the next start after a number of failures in a row: twice as
// long each time, and up to a quarter less by chance, so that processes that ended together do not
// start together.
func backoff(failures int) time.Duration {
	d := min(backoffMax, backoffMin<<min(max(failures-1, 0), 10))
	return d - rand.N(d/4+1)
}
