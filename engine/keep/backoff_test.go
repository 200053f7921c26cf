package keep

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: backoffMin, 1: backoffMin, 2: 2 * backoffMin, 5: 16 * backoffMin, 9: 256 * backoffMin,
		10: backoffMax, 1000: backoffMax,
	} {
		if got := backoff(failures); got > want || got < want-want/4 {
			t.Errorf("backoff(%d) = %v, want %v or up to a quarter less", failures, got, want)
		}
	}
}
