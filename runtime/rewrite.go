package runtime

import (
	"time"

	"paas/volume"
)

// rewrite checks once a minute whether the files that tell others what runs are intact, and writes
// those again that were damaged or removed.
func (a *appLoop) rewrite() {
	if time.Since(a.checked) < lookAgain/2 { // less than a minute: the rounds are not exact
		return
	}
	first := a.checked.IsZero()
	a.checked = time.Now()
	if first { // they have just been written
		return
	}
	if list, err := a.app.Processes(); volume.IsDamage(err) || err == nil && len(list) == 0 {
		a.saveProcesses() // it writes no file if nothing runs
	}
	state, err := a.app.Cron()
	of := a.crontab.of
	if volume.IsDamage(err) || err == nil && of != nil && state.Release != of.n {
		a.crontab.unsaved = a.crontab.unsaved || err != nil || len(a.crontab.rows) > 0
	}
	z, err := a.app.Asleep()
	if a.sleeper.asleep() && (volume.IsDamage(err) || err == nil && z.Release == 0) {
		a.sleeper.record()
	}
}
