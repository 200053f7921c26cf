//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"paas/volume"
)

// addReleases makes a history that package volume reads: the newest release is live, the others are
// retired.
func TestAddReleases(t *testing.T) {
	v := &volume.Volume{Root: t.TempDir()}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	app, err := v.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Publish(volume.Release{Build: "b", Cause: volume.CausePush})
	if err == nil {
		err = app.SetStatus(r.N, volume.Status{State: volume.Live})
	}
	if err == nil {
		err = app.SetLive(r.N)
	}
	if err == nil {
		err = addReleases(app.Dir(), 20)
	}
	if err == nil {
		err = addReleases(app.Dir(), 10) // there are more already
	}
	if err != nil {
		t.Fatal(err)
	}
	if app.Live() != 20 || len(app.Numbers()) != 20 {
		t.Errorf("v%d of %d is live", app.Live(), len(app.Numbers()))
	}
	for n := 1; n <= 20; n++ {
		want := volume.Retired
		if n == 20 {
			want = volume.Live
		}
		r, err := app.Release(n)
		s, statusErr := app.Status(n)
		if err != nil || statusErr != nil || r.Build != "b" || s.State != want || s.At.IsZero() {
			t.Errorf("v%d: %+v, %+v, %v, %v", n, r, s, err, statusErr)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(app.Dir(), "releases", "*",
		"status.json")); len(left) != 20 {
		t.Error(left)
	}
	if err := addReleases(filepath.Join(v.Root, "none"), 3); !os.IsNotExist(err) {
		t.Error(err)
	}
}
