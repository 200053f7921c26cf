package runtime_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paas/engine"
	"paas/engine/local"
	"paas/rig"
	"paas/runtime"
	"paas/volume"
)

// noVisitors is a front without visitors.
type noVisitors struct{}

func (noVisitors) Remove(string) <-chan struct{} { return nil }

func (noVisitors) Sleep(_ string, idle time.Duration) (bool, time.Duration) { return false, idle }

func (noVisitors) Route(runtime.Route) <-chan struct{} {
	drained := make(chan struct{})
	close(drained)
	return drained
}

// A tick starts a real process in the live build.
func TestTickRunsAProcess(t *testing.T) {
	vol := &volume.Volume{Root: t.TempDir(), Poll: 10 * time.Millisecond}
	if err := vol.Open(); err != nil {
		t.Fatal(err)
	}
	app, err := vol.Create("tidy")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := vol.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	rig.Write(t, dir, map[string]string{
		"tree/Procfile": "cron: */10 * * * * cat note.txt; pwd; echo $PAAS_APP $PAAS_RELEASE $COLOR .$PORT; exit 4\n",
		"tree/note.txt": "a * and a $HOME\n",
	})
	done, err := app.Turn(t.Context(), "the test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	build, err := app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Publish(volume.Release{Build: build.ID, Settings: volume.Settings{Config: map[string]string{"COLOR": "red", "TZ": "UTC"}}})
	if err != nil {
		t.Fatal(err)
	}
	app.Commit(r.N)

	layout := func(image engine.Image) (local.Layout, error) {
		tree := app.BuildTree(image.Build)
		return local.Layout{Top: tree, Tree: tree, Cache: app.Cache(), Data: app.Data(), Logs: app.Logs()}, nil
	}
	l := &local.Local{Root: vol.Root, Self: rig.Self(), Layout: layout, Confined: local.Confined{Off: "in this test"}}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rt := &runtime.Runtime{Volume: vol, Engine: l, Front: noVisitors{}, Log: slog.New(slog.DiscardHandler)}
	rt.SetClock(time.Date(2026, 11, 25, 10, 9, 58, 0, time.UTC))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { rt.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()

	var entry volume.CronEntry
	rig.Eventually(t, "it has run", func() bool {
		state, err := app.Cron()
		if err != nil || len(state.Entries) != 1 || state.Entries[0].Last == nil {
			return false
		}
		entry = state.Entries[0]
		return entry.Last.Result != ""
	})
	if entry.Last.Result != "exit status 4" || entry.Last.Status != 4 || entry.Last.At.Format("15:04:05") != "10:10:00" || entry.Next.Format("15:04") != "10:20" {
		t.Errorf("%+v %+v", entry, entry.Last)
	}
	text, err := os.ReadFile(filepath.Join(app.Logs(), "cron.1.log"))
	if err != nil {
		t.Fatal(err)
	}
	rig.WantIn(t, "its log", string(text), "Z a * and a $HOME\n", "Z "+app.BuildTree(build.ID)+"\n", "tidy v1 red .\n", "Z\t--- exit status 4, after ")
}
