package runtime

import (
	"time"

	"paas/volume"
)

// rewrite looks once a minute whether the files that tell others what runs are as they were written,
// and writes those that were damaged or removed again: it knows better.
func (h *home) rewrite() {
	if time.Since(h.checked) < lookAgain/2 { // the round and its timer need not agree
		return
	}
	first := h.checked.IsZero()
	h.checked = time.Now()
	if first { // they have just been written
		return
	}
	if list, err := h.app.Processes(); volume.IsDamage(err) || err == nil && len(list) == 0 {
		h.saveProcesses() // which writes nothing where nothing runs
	}
	if state, err := h.app.Cron(); volume.IsDamage(err) || err == nil && h.crontab.of != nil && state.Release != h.crontab.of.n {
		h.crontab.unsaved = h.crontab.unsaved || err != nil || len(h.crontab.rows) > 0
	}
	if z, err := h.app.Asleep(); h.nap.asleep() && (volume.IsDamage(err) || err == nil && z.Release == 0) {
		h.nap.record()
	}
}
