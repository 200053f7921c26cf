package runtime

import (
	"maps"
	"slices"

	"paas/volume"
)

// conclude records a state of release n that its maker waits for, and retries every second until
// the write succeeds. A release without a final state would be built again.
func (a *appLoop) conclude(n int, s volume.Status) {
	if s.State == volume.Failed || s.State == volume.Cancelled {
		a.discard(n) // first: the build may be what filled the disk
	}
	a.pending[n] = s
	a.writeVerdicts()
}

// writeVerdicts records the pending final states in the order of the releases: [volume.App.Open]
// relies on that.
func (a *appLoop) writeVerdicts() {
	for _, n := range slices.Sorted(maps.Keys(a.pending)) {
		err := a.app.SetStatus(n, a.pending[n])
		a.verdicts.ended(err)
		if err != nil && a.there() {
			return
		}
		delete(a.pending, n)
	}
}

// discard removes the build of a failed release, unless it was made for an earlier one. If a
// process still uses it, the pruner removes it later.
func (a *appLoop) discard(n int) {
	r, err := a.app.Release(n)
	if err != nil {
		return
	}
	switch r.Cause {
	case volume.CauseConfig, volume.CauseRollback, volume.CauseRestart:
		return
	}
	if a.rt.held(a.app.Name, r.Build) {
		return
	}
	if err := a.app.RemoveBuild(r.Build); err != nil {
		a.log.Error("cannot remove a build", "build", r.Build, "err", err)
	}
}

// setStatus records how far a release is. A failed write does no harm.
func (a *appLoop) setStatus(n int, s volume.Status) {
	if err := a.app.SetStatus(n, s); err != nil && a.app.Exists() {
		a.log.Error("cannot record the state of a release",
			"release", n, "state", s.State, "err", err)
	}
}
