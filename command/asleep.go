package command

import (
	"fmt"
	"strings"
	"time"

	"paas/formation"
	"paas/volume"
)

// minSleep and maxSleep bound the time without a request after which an app sleeps.
const (
	minSleep = time.Second
	maxSleep = 7 * 24 * time.Hour
)

// parseSleep reads a time such as 10m or 7d; off is 0.
func parseSleep(text string) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	after, err := parseAge(text)
	if err != nil || after < minSleep || after > maxSleep {
		const form = "an app sleeps after a time from 1s to 7d, such as 10m, or off; not %q"
		return 0, fmt.Errorf(form, plain(text))
	}
	return after, nil
}

// sleepTime is a time as [parseSleep] reads it.
func sleepTime(after time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case after == 0:
		return "off"
	case after%day == 0:
		return fmt.Sprintf("%dd", after/day)
	}
	text := after.String() // "10m0s"
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nothing) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// asleepSince says in words that an app is asleep.
func asleepSince(since time.Time) string {
	if since.IsZero() {
		return "asleep; the next request wakes it"
	}
	return fmt.Sprintf("asleep since %s; the next request wakes it", when(since))
}

// asleep reports whether the app sleeps, and since when. Without a server none does: all are
// stopped.
func (c *Call) asleep(app volume.App, w volume.Wanted) (since time.Time, asleep bool, err error) {
	z, err := app.Asleep()
	if volume.IsDamage(err) { // the runtime takes it for awake too
		err = nil
	}
	return z.Since, err == nil && z.Holds(w, app.Live()) && c.serving(), err
}

// maySleep fails if the app cannot be put to sleep: its processes are not started from here, or no
// request would wake it.
func (c *Call) maySleep(app volume.App, s volume.Settings, w volume.Wanted) error {
	if app.Live() == 0 {
		if s.ModeOr(c.Mode) == volume.OnlyFiles {
			return conflict("", "%s is in mode worktree: its processes are not started from here, "+
				"and cannot be put to sleep", app.Name)
		}
		return nil
	}
	if err := serverRuns(app); err != nil {
		return err
	}
	_, counts, err := c.formation(app, w)
	if err == nil && counts[formation.Web] == 0 {
		err = conflict("ps:stop "+app.Name+" stops it",
			"%s has no web process, so no request could wake it, and it is not put to sleep", app.Name)
	}
	return err
}
