package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"paas/say"
	"paas/volume"
)

var sleepVerbs = []verb{
	{use: "sleep:set APP TIME|off", short: "stop all processes when nobody has asked for the app for so long, such as 10m; the next request starts them", args: args(2, 2), run: setSleep},
}

// minSleep and maxSleep bound how long nobody must have asked for an app that is put to sleep.
const (
	minSleep = time.Second
	maxSleep = 7 * 24 * time.Hour
)

// parseSleep reads a time such as 10m or 7d; off is 0.
func parseSleep(text string) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	after, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 8)
		after = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || after < minSleep || after > maxSleep {
		return 0, fmt.Errorf("an app sleeps after a time from 1s to 7d, such as 10m, or is off, not %q", plain(text))
	}
	return after, nil
}

// sleepSetting is what [parseSleep] reads.
func sleepSetting(after time.Duration) string {
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

// maySleep says why an app cannot be put to sleep: what is not started from here cannot, nor what no request
// would wake.
func (c *call) maySleep(app volume.App, s volume.Settings, w volume.Wanted) error {
	if app.Live() == 0 {
		if s.InPlace(volume.Mode(c.config.Mode)) {
			return fmt.Errorf("%s is in watch mode: what runs it is not started from here, and cannot be put to sleep", app.Name)
		}
		return nil
	}
	if err := notInPlace(app); err != nil {
		return err
	}
	_, counts, err := c.formation(app, w)
	if err == nil && counts["web"] == 0 {
		err = fmt.Errorf("%s has no web process, so no request could wake it, and it is not put to sleep; ps:stop %s stops it", app.Name, app.Name)
	}
	return err
}

func setSleep(c *call) error {
	after, err := parseSleep(c.args[1])
	if err != nil {
		return usageError(fmt.Errorf("%w; usage: %s", err, c.cmd.UseLine()))
	}
	app, err := c.app()
	if err != nil {
		return err
	}
	slept := false
	err = c.changeRunning(c.args[1], func(w *volume.Wanted) error {
		if after > 0 {
			s, err := app.Settings()
			if err == nil {
				err = c.maySleep(app, s, *w)
			}
			if err != nil {
				return err
			}
		}
		_, slept, err = c.asleep(app, *w)
		w.Sleep = after
		return err
	})
	switch {
	case err != nil:
		return err
	case after > 0:
		say.Step(c.out, "%s sleeps when nobody has asked for it for %s; the next request wakes it", app.Name, sleepSetting(after))
		return nil
	}
	say.Step(c.out, "%s does not sleep", app.Name)
	if !slept {
		return nil
	}
	say.Step(c.out, "Waking %s", app.Name)
	return c.settle(app, func(volume.Process) bool { return true })
}

// asleep says whether the app sleeps, and since when. Without a server none does: it is stopped.
func (c *call) asleep(app volume.App, w volume.Wanted) (since time.Time, asleep bool, err error) {
	z, err := app.Asleep()
	if volume.IsDamage(err) { // as the runtime takes it
		err = nil
	}
	return z.Since, err == nil && z.Holds(w, app.Live()) && c.serving(), err
}

// sayAsleep is how a sleeping app is shown.
func sayAsleep(since time.Time) string {
	if since.IsZero() {
		return "asleep; the next request wakes it"
	}
	return fmt.Sprintf("asleep since %s; the next request wakes it", since.Local().Format(time.DateTime))
}
