package keep

import (
	"math/rand/v2"
	"time"
)

const (
	backoffMin = time.Second / 10 // before the first restart
	backoffMax = 30 * time.Second
)

// backoff returns the delay before the next start after a number of failures in a row. Each is
// twice as long as the last, and up to a quarter shorter at random, so that processes that ended
// together do not start together.
func backoff(failures int) time.Duration {
	d := min(backoffMax, backoffMin<<min(max(failures-1, 0), 10))
	return d - rand.N(d/4+1)
}
