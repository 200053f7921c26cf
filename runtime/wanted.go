package runtime

import "paas/volume"

// readWanted reads what should run. While the file is damaged, what was read last still counts, or after a
// start what was wanted when the live release was made: a torn file stops no app.
func (h *home) readWanted() (volume.Wanted, error) {
	const doing = "read what should run"
	s, err := h.app.Wanted()
	if err == nil {
		if h.guessed { // else a cron:run of long ago would look like a new one
			h.crontab.token = s.Cron.Token
		}
		h.guessed, h.read = false, true
		h.works(doing)
		return s, nil
	}
	if !volume.IsDamage(err) {
		return s, err
	}
	if h.read {
		h.complain(doing, err)
		return h.settings, nil
	}
	r, unread := h.app.Release(h.app.Live())
	if unread != nil {
		return s, err
	}
	h.complain(doing, err)
	h.guessed = true
	return r.Wanted, nil
}

// complain logs that the app's goroutine cannot do something, once for each reason.
func (h *home) complain(doing string, err error) {
	if reason := reasonOf(err); h.said[doing] != reason {
		h.said[doing] = reason
		h.log.Error("cannot "+doing, "err", err)
	}
}

// works takes back what complain has logged.
func (h *home) works(doing string) { delete(h.said, doing) }
