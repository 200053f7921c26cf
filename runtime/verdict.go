package runtime

import "paas/volume"

// conclude records the final state of release n, retrying every second until the write succeeds:
// somebody waits for it, and a release without one would be built again.
func (h *home) conclude(n int, s volume.Status) {
	if s.State == volume.Failed || s.State == volume.Cancelled {
		h.discard(n) // first: it may be what filled the disk
	}
	err := h.app.SetStatus(n, s)
	if err == nil || !h.there() {
		delete(h.unsaid, n)
	} else {
		h.unsaid[n] = s
	}
	if err != nil || len(h.unsaid) == 0 {
		h.verdicts.ended(err)
	}
}

// discard removes the build of a release that came to nothing, unless another release is made of it.
func (h *home) discard(n int) {
	r, err := h.app.Release(n)
	if err != nil {
		return
	}
	for _, other := range h.app.Numbers() {
		if o, err := h.app.Release(other); other != n && (err != nil || o.Build == r.Build) {
			return
		}
	}
	if err := h.app.RemoveBuild(r.Build); err != nil {
		h.log.Error("cannot remove a build", "build", r.Build, "err", err)
	}
}

// setStatus says how far a release has come on its way.
func (h *home) setStatus(n int, s volume.Status) {
	if err := h.app.SetStatus(n, s); err != nil && h.app.Exists() {
		h.log.Error("cannot say how a release stands", "release", n, "state", s.State, "err", err)
	}
}
