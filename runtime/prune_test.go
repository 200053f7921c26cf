package runtime

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paas/rig"
	"paas/volume"
)

func TestSpare(t *testing.T) {
	for name, c := range map[string]struct {
		keep     int
		releases string // oldest first: build, and first letter of the state
		left     string // those that stay of all their builds and of x, a build without a release
	}{
		"nothing was ever deployed":                        {2, "", ""},
		"fewer than are kept":                              {5, "ar bl", "a b"},
		"the oldest goes":                                  {2, "ar br cl", "b c"},
		"one alone is kept":                                {1, "ar br cl", "c"},
		"a build counts as its youngest release":           {2, "ar br cr al", "a c"},
		"config changes push nothing out":                  {3, "ar br cr cr cr cl", "a b c"},
		"one under way stays, and none goes for it":        {2, "ar br cl dq", "b c d"},
		"one that proves itself":                           {1, "ar bl cp", "b c"},
		"one that waits for its commit":                    {1, "ar bl cR", "b c"},
		"a rollback under way to an old build":             {1, "ar br cl ab", "a c"},
		"failed and cancelled ones were not live":          {2, "ar bl cc df", "a b"},
		"a failed config change of the live build":         {1, "ar bl bf", "b"},
		"watch mode has none":                              {1, "ar br -l", "b"},
		"its status was not written when it was overtaken": {2, "ar bl cl", "b c"},
	} {
		s := newStage(t)
		rt := &Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler), KeepBuilds: c.keep}
		ids := map[string]string{"-": ""}
		for _, word := range strings.Fields(c.releases + " x") {
			if _, made := ids[word[:1]]; !made {
				dir, err := s.app.Volume().TempDir()
				if err != nil {
					t.Fatal(err)
				}
				b, err := s.app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
				if err != nil {
					t.Fatal(err)
				}
				ids[word[:1]] = b.ID
			}
			if word == "x" {
				continue
			}
			state := map[byte]volume.State{'q': volume.Queued, 'b': volume.Booting, 'p': volume.Proving, 'R': volume.Ready,
				'l': volume.Live, 'r': volume.Retired, 'f': volume.Failed, 'c': volume.Cancelled}[word[1]]
			r, err := s.app.Publish(volume.Release{Build: ids[word[:1]]})
			if err == nil {
				err = s.app.SetStatus(r.N, volume.Status{State: state})
			}
			if err == nil && state == volume.Live {
				err = s.app.SetLive(r.N)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s.pruned(rt)
		builds, err := s.app.Builds()
		var left []string
		for name, id := range ids {
			if slices.Contains(builds, id) {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		if err != nil || !slices.Equal(left, strings.Fields(c.left)) {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
}

// The history only grows: the second call does not read again what the first has read.
func TestPrunerRemembers(t *testing.T) {
	s := newStage(t)
	p := newPruner(&Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler), KeepBuilds: 2})
	live := func() {
		t.Helper()
		n := s.publish()
		if err := errors.Join(s.app.SetStatus(n, volume.Status{State: volume.Live}), s.app.SetLive(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.prune(s.app); err != nil {
			t.Error(err)
		}
	}
	live()
	live()
	if err := os.Rename(filepath.Join(s.app.Dir(), "releases", "1"), filepath.Join(s.app.Dir(), "releases", "1-away")); err != nil {
		t.Fatal(err)
	}
	if builds, err := p.lived(s.app); err != nil || len(builds) != 2 {
		t.Errorf("%v, %v", builds, err)
	}
	live()
	if left, err := s.app.Builds(); err != nil || len(left) != 2 || !slices.Equal(s.left(), []int{2, 3}) {
		t.Errorf("%v of %v are left, %v", s.left(), left, err)
	}
}

// deploys makes a release with a new build live, as a push does.
func (s *stage) deploys() int {
	s.t.Helper()
	done, err := s.app.Turn(context.Background(), "a push", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer done()
	n := s.publish()
	s.reaches(n, volume.Ready)
	s.app.Commit(n)
	s.reaches(n, volume.Live)
	return n
}

// left lists the releases whose builds exist.
func (s *stage) left() (numbers []int) {
	for _, n := range s.app.Numbers() {
		if r, err := s.app.Release(n); err == nil {
			if _, err := os.Stat(s.app.BuildTree(r.Build)); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

func TestBuildsAreKept(t *testing.T) {
	s := newStage(t)
	s.run()
	for range 7 {
		s.deploys()
	}
	rig.Eventually(t, "five are left", func() bool { return slices.Equal(s.left(), []int{3, 4, 5, 6, 7}) })
}

// pruned prunes once, as the pruner does by itself later.
func (s *stage) pruned(rt *Runtime) (busy bool) {
	s.t.Helper()
	busy, err := newPruner(rt).prune(s.app)
	if err != nil {
		s.t.Error(err)
	}
	return busy
}

// Between checking out a build and publishing its release, a push has a build without a release.
// The build stays, because the push holds the turn. If the push was killed, the turn is free, and
// the build is removed.
func TestTheTurnGuardsABuildOfNoRelease(t *testing.T) {
	s := newStage(t)
	rt := &Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler)}
	done := s.turn()
	dir, err := s.app.Volume().TempDir()
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tree"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !s.pruned(rt) {
		t.Error("it does not say that somebody deploys")
	}
	if _, err := s.app.Build(b.ID); err != nil {
		t.Errorf("the build of a push under way: %v", err)
	}
	done()
	if s.pruned(rt) {
		t.Error("it says that somebody deploys")
	}
	if builds, err := s.app.Builds(); err != nil || len(builds) > 0 {
		t.Errorf("left: %v, %v", builds, err)
	}
}

// Builds are removed although a release is damaged, unless it is the live one: then its build is
// not known.
func TestDamagedHistory(t *testing.T) {
	for damaged, want := range map[int][]int{1: {3}, 2: {3}, 3: {1, 2, 3}} {
		for file, content := range map[string]string{"release.json": "{", "status.json": ""} {
			s := newStage(t)
			builds := map[string]int{}
			for n := 1; n <= 3; n++ {
				if err := errors.Join(s.app.SetStatus(s.publish(), volume.Status{State: volume.Retired}), s.app.Commit(n), s.app.SetLive(n)); err != nil {
					t.Fatal(err)
				}
				r, _ := s.app.Release(n)
				builds[r.Build] = n
			}
			path := filepath.Join(filepath.Dir(s.app.ReleaseLog(damaged)), file)
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			rt := &Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler), KeepBuilds: 1}
			newPruner(rt).prune(s.app)
			left, err := s.app.Builds()
			var numbers []int
			for _, id := range left {
				numbers = append(numbers, builds[id])
			}
			slices.Sort(numbers)
			want := want
			if file == "status.json" {
				want = []int{3}
			}
			if err != nil || !slices.Equal(numbers, want) {
				t.Errorf("%s of v%d: %v are left, %v", file, damaged, numbers, err)
			}
		}
	}
}

// The build of a release stays while its processes are stopping: they may still read its files.
func TestBuildsInUseAreKept(t *testing.T) {
	s := newStage(t)
	rt := &Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler), KeepBuilds: 1}
	for n := 1; n <= 2; n++ {
		if err := errors.Join(s.app.SetStatus(s.publish(), volume.Status{State: volume.Retired}), s.app.SetLive(n)); err != nil {
			t.Fatal(err)
		}
	}
	one, err := s.app.Release(1)
	if err != nil {
		t.Fatal(err)
	}
	h := newLoop(rt, s.app)
	i := newInstance(h, 1)
	i.release, i.built.Processes = one, map[string]string{"web": "x"}
	m := newMember(i, place{"web", 1}, "web", volume.Wanted{})
	i.members[m.place] = m
	go rt.Engine.Watch(t.Context(), func(string) { h.units.refresh() })
	h.units.want(volume.Wanted{}, m)
	s.pruned(rt)
	if left := s.left(); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	i.stop(0)
	s.pruned(rt)
	if left := s.left(); !slices.Equal(left, []int{2}) {
		t.Errorf("left: %v", left)
	}
}

// A toolchain is removed with the last build that was made with it, never while a build is made.
func TestUnusedToolchains(t *testing.T) {
	s := newStage(t)
	rt := &Runtime{Volume: s.app.Volume(), Engine: s.engine, Log: slog.New(slog.DiscardHandler), KeepBuilds: 1}
	node := func(version string) volume.Toolchain { return volume.Toolchain{Name: "node", Version: version} }
	for _, version := range []string{"18.0.0", "20.0.0", "22.0.0"} {
		dir, err := s.app.Volume().TempDir()
		if err == nil {
			err = s.app.Volume().PublishToolchain(node(version), dir)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stored := func() string {
		t.Helper()
		list, err := s.app.Volume().Toolchains()
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, at := range list {
			text = append(text, at.Version)
		}
		return strings.Join(text, " ")
	}
	live := func(version string) {
		t.Helper()
		n := s.publish()
		r, err := s.app.Release(n)
		if err == nil {
			err = s.app.SetBuilt(r.Build, volume.Built{Toolchains: []volume.Toolchain{node(version)}})
		}
		if err = errors.Join(err, s.app.SetStatus(n, volume.Status{State: volume.Live}), s.app.SetLive(n)); err != nil {
			t.Fatal(err)
		}
	}
	p := newPruner(rt)
	round := func() (busy bool) {
		p.ask(s.app.Name)
		return p.round()
	}
	live("18.0.0")
	rt.building.RLock()
	if !round() || stored() != "18.0.0 20.0.0 22.0.0" {
		t.Errorf("while a build is made: %s", stored())
	}
	rt.building.RUnlock()
	if round() || stored() != "18.0.0" {
		t.Errorf("with one build: %s", stored())
	}
	live("18.0.0")
	if round() || stored() != "18.0.0" {
		t.Errorf("with another build: %s", stored())
	}
	r, err := s.app.Release(2)
	if err == nil {
		err = s.app.SetBuilt(r.Build, volume.Built{})
	}
	if err != nil {
		t.Fatal(err)
	}
	live("22.0.0")
	if round() || stored() != "" {
		t.Errorf("after it: %s", stored())
	}
}

// The logs of old releases are removed; the releases stay in the history. A release without a log
// does not end the removal.
func TestOldLogsGo(t *testing.T) {
	s := newStage(t)
	const releases = 60
	logs := func() (n int) {
		for i := 1; i <= releases; i++ {
			if _, err := os.Stat(s.app.ReleaseLog(i)); err == nil {
				n++
			}
		}
		return n
	}
	for i := 1; i <= releases; i++ {
		r, err := s.app.Publish(volume.Release{})
		if err == nil && i%3 != 0 {
			err = os.WriteFile(s.app.ReleaseLog(r.N), []byte("built\n"), 0o644)
		}
		if err == nil {
			err = s.app.SetStatus(r.N, volume.Status{State: volume.Retired})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if logs() != 40 {
		t.Fatalf("%d logs to begin with", logs())
	}
	rt := s.runtime()
	if _, err := newPruner(rt).prune(s.app); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= releases; i++ {
		_, err := os.Stat(s.app.ReleaseLog(i))
		if want := i > releases-keptLogs && i%3 != 0; (err == nil) != want {
			t.Errorf("the log of v%d: %v, want it there: %v", i, err, want)
		}
		if status, err := s.app.Status(i); err != nil || status.State != volume.Retired {
			t.Errorf("v%d: %+v, %v", i, status, err)
		}
	}
}
