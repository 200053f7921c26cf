package runtime

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
	"paas/volume"
)

// fillDisk fills the file system of dir, and returns a function that frees it again.
func fillDisk(t *testing.T, dir string) (freeDisk func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// While the disk is full, each file that cannot be written is tried again once a second, and logged
// once: the failed write must not ring the bell that wakes its own writer. When the disk has space
// again, all are written.
func TestFullDisk(t *testing.T) {
	root := rig.SmallDisk(t)
	synctest.Test(t, func(t *testing.T) {
		s := newStageIn(t, root)
		var logged rig.Screen
		s.log = slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError})
		s.processes = map[string]string{"web": "x", "worker": "y", "cron": "* * * * * z"}
		s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
			return engine.Exit{}, strings.HasPrefix(p.Type, "cron")
		}
		s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
		s.run()
		s.turn()
		s.deploy()
		s.runs(up)

		var freeDisk func()
		s.build = func(context.Context) error {
			freeDisk = fillDisk(t, root)
			return errors.New("no space left on device")
		}
		failed := s.publish()
		r, err := s.app.Release(failed)
		if err != nil {
			t.Fatal(err)
		}
		inBuild, err := os.Open(filepath.Join(filepath.Dir(s.app.BuildTree(r.Build)), "build.json"))
		if err != nil {
			t.Fatal(err)
		}
		defer inBuild.Close() // else the removal of the build frees space for the final state
		after(time.Second)
		s.newest("worker").Stop(0) // it crashes, and is started again
		after(90 * time.Second)    // cron is due in that time
		if s.running() != up {
			t.Errorf("%s runs", s.running())
		}
		for _, what := range []string{"write processes.json", "record the state of a release", "write cron.json"} {
			if n := strings.Count(logged.String(), "cannot "+what+"\""); n != 1 {
				t.Errorf("the log has %d lines about %s", n, what)
			}
		}
		if n := strings.Count(logged.String(), "\n"); n != 3 {
			t.Errorf("the log has %d lines:\n%.3000s", n, logged.String())
		}

		freeDisk()
		after(2 * time.Second)
		if status, err := s.app.Status(failed); err != nil || status.State != volume.Failed {
			t.Errorf("%+v, %v", status, err)
		}
		if p, err := s.app.Processes(); err != nil || len(p) != 2 || p[1].Restarts != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if c, err := s.app.Cron(); err != nil || len(c.Entries) != 1 || c.Entries[0].Last == nil {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
