package sidecar

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"paas/rig"
	"paas/volume"
)

// child starts a sidecar process on root, which kills itself at the named place.
func child(t *testing.T, root, at string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SIDECAR_TEST_ROOT="+root, "SIDECAR_TEST_AT="+at)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// After kill -9 of the sidecar at any point of a sync, the next start finds the old release or the
// new one, and makes the new one live without releasing it twice.
func TestKilled(t *testing.T) {
	for at, states1 := range map[string]string{
		"locked": "retired live", "fetched": "retired live", "turn": "retired live",
		"building": "retired cancelled live", "decided": "retired live",
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, newClient(t))
			s.runtime()
			r := newHosting(t).repo("blog")
			app := s.app("blog", volume.Source{URL: r.url, Every: volume.MinEvery})
			if _, err := s.sync(app); err != nil {
				t.Fatal(err)
			}
			one := r.git("rev-parse", "HEAD")
			two := r.commit("two", "a", "b")
			if at == "building" {
				two = r.commit("hangs", "fate", "hang")
			}
			cmd := child(t, s.Volume.Root, at)
			if at == "building" { // no code of ours runs then
				rig.Eventually(t, "it is building", func() bool { return states(app) == "live building" })
				cmd.Process.Kill()
			}
			if cmd.Wait(); !cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
				t.Fatal("it was not killed:", cmd.ProcessState)
			}
			if l := looked(t, app); l.Commit != one {
				t.Errorf("the commit is said to have had its verdict: %+v", l)
			}
			if at == "building" {
				two = r.commit("good", "fate", "")
			}
			if err := s.Volume.Wipe(); err != nil {
				t.Fatal(err)
			}
			s.start()
			rig.Eventually(t, "two is live, and the releases are "+states1, func() bool {
				return isLive(app, two) && looked(t, app).Commit == two && states(app) == states1
			})
			left(t, s, app)
		})
	}
}

// A full disk is reported, nothing is left of what did not fit, and it is tried again.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a full disk; mounting a small one needs root")
	}
	root := t.TempDir()
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", root).
		Run(); err != nil {
		t.Skip("NOT TESTED: a full disk; no tmpfs can be mounted here:", err)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", root).Run() })
	s := newStage(t, newClient(t))
	s.Volume = &volume.Volume{Root: root, Poll: s.Volume.Poll}
	if err := s.Volume.Open(); err != nil {
		t.Fatal(err)
	}
	s.runtime()
	s.start()
	go s.Volume.Tidy(t.Context())
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: volume.MinEvery})
	rig.Eventually(t, "one is live", func() bool { return looked(t, app).Release == 1 })
	noise, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	for _, c := range []struct{ size, copies int }{
		{2 << 20, 3},  // fits when it is fetched, but not when it is checked out
		{12 << 20, 1}, // does not fit when it is fetched
	} {
		big := make([]byte, c.size)
		if _, err := io.ReadFull(noise, big); err != nil {
			t.Fatal(err)
		}
		for i := range c.copies {
			r.commit("big", fmt.Sprint("big", i), string(big))
		}
		releases := len(app.Numbers())
		s.now("blog")
		rig.Eventually(t, "the disk is full", func() bool { return looked(t, app).Error != "" })
		contains(t, looked(t, app).Error, "the server's disk is full", "make room on it")
		if len(app.Numbers()) != releases {
			t.Error(states(app))
		}
		r.git("rm", "-q", "-r", "big*")
		small := r.commit("small", "a", fmt.Sprint(c.size))
		s.now("blog")
		rig.Eventually(
			t, "it fits",
			func() bool { return isLive(app, small) && looked(t, app).Commit == small && looked(t, app).Error == "" },
		)
		left(t, s, app)
	}
}
