package runtime

import "paas/volume"

// readWanted reads what should run. While the file is damaged, what was read last still counts;
// after a start, what was wanted when the live release was made, but nobody is let in: the app may have
// been protected since. A damaged file stops no app.
func (a *appLoop) readWanted() (volume.Wanted, error) {
	const doing = "read what should run"
	s, err := a.app.Wanted()
	if err == nil {
		if a.guessed { // else a run that a person asked for long ago would look like a new one
			a.crontab.token = s.Cron.Token
		}
		a.guessed, a.read = false, true
		a.works(doing)
		return s, nil
	}
	if !volume.IsDamage(err) {
		return s, err
	}
	if a.read {
		a.complain(doing, err)
		return a.settings, nil
	}
	r, unread := a.app.Release(a.app.Live())
	if unread != nil {
		return s, err
	}
	a.complain(doing, err)
	a.guessed = true
	r.Wanted.Rules = volume.Rules{Maintenance: true}
	return r.Wanted, nil
}

// complain logs that something cannot be done, once for each reason.
func (a *appLoop) complain(doing string, err error) {
	if reason := reasonOf(err); a.said[doing] != reason {
		a.said[doing] = reason
		a.log.Error("cannot "+doing, "err", err)
	}
}

// works notes that it can be done: complain logs the next failure again.
func (a *appLoop) works(doing string) { delete(a.said, doing) }
