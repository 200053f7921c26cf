package runtime

import (
	"maps"
	"slices"

	"paas/volume"
)

// conclude records a state of release n that somebody waits for, retrying every second until the write
// succeeds. A release without a final state would be built again.
func (h *home) conclude(n int, s volume.Status) {
	if s.State == volume.Failed || s.State == volume.Cancelled {
		h.discard(n) // first: it may be what filled the disk
	}
	h.unsaid[n] = s
	h.writeVerdicts()
}

// writeVerdicts records the final states that are not on the volume yet, in the order of the releases:
// so what is before one that is over is over as well. See [volume.App.Open].
func (h *home) writeVerdicts() {
	for _, n := range slices.Sorted(maps.Keys(h.unsaid)) {
		err := h.app.SetStatus(n, h.unsaid[n])
		h.verdicts.ended(err)
		if err != nil && h.there() {
			return
		}
		delete(h.unsaid, n)
	}
}

// discard removes the build of a release that came to nothing, unless it was made for another. What
// still runs in it keeps it: the pruner then removes it later.
func (h *home) discard(n int) {
	r, err := h.app.Release(n)
	if err != nil {
		return
	}
	switch r.Cause {
	case volume.CauseConfig, volume.CauseRollback, volume.CauseRestart:
		return
	}
	if h.rt.held(h.app.Name, r.Build) {
		return
	}
	if err := h.app.RemoveBuild(r.Build); err != nil {
		h.log.Error("cannot remove a build", "build", r.Build, "err", err)
	}
}

// setStatus records how far a release has come.
func (h *home) setStatus(n int, s volume.Status) {
	if err := h.app.SetStatus(n, s); err != nil && h.app.Exists() {
		h.log.Error("cannot say how a release stands", "release", n, "state", s.State, "err", err)
	}
}
