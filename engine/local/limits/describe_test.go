package limits

import "testing"

// fakeLimiter is a Limiter that can enforce the given limits.
type fakeLimiter struct {
	none
	Limits
}

func (s fakeLimiter) Holds(Limits) Limits { return s.Limits }
func (s fakeLimiter) String() string      { return "cgroup v9" }

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		held  Limits
		watch bool
		want  string
	}{
		{Limits{1, 1, 1}, true, "limits by cgroup v9"},
		{
			Limits{0, 1, 1}, true,
			"limits by cgroup v9 for cpu and processes; memory limits by polling",
		},
		{Limits{1, 0, 1}, true, "limits by cgroup v9 for memory and processes; no cpu limits"},
		{Limits{}, true, "memory limits by polling; no cpu or process limits"},
		{Limits{}, false, "no limits on this system"},
	} {
		if got := Describe(fakeLimiter{none{}, c.held}, c.watch); got != c.want {
			t.Errorf("%v: got %q, want %q", c.held, got, c.want)
		}
	}
}
