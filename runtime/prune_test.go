package runtime

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"paas/runtime/rig"
	"paas/volume"
)

func TestSpare(t *testing.T) {
	for name, c := range map[string]struct {
		builds   string
		keep     int
		releases string // the youngest first: build and the first letter of its state, ! where it is live
		want     string
	}{
		"nothing was ever deployed": {"", 2, "", ""},
		"fewer than are kept":       {"a b", 5, "bl! ar", ""},
		"the oldest goes":           {"a b c", 2, "cl! br ar", "a"},
		"one alone is kept":         {"a b c", 1, "cl! br ar", "a b"},
		"a build of several releases counts once, and as its youngest": {"a b c", 2, "al! cr br ar", "b"},
		"config changes push nothing out":                              {"a b c", 3, "cl! cr cr cr br ar", ""},
		"one under way stays, and none goes for it":                    {"a b c d", 2, "dq cl! br ar", "a"},
		"one that waits for its commit":                                {"a b c", 1, "cR bl! ar", "a"},
		"a rollback under way to an old build":                         {"a b c", 1, "ab cl! br ar", "b"},
		"failed and cancelled ones were not live":                      {"a b c d", 2, "df cc bl! ar", "c d"},
		"a failed config change of the live build":                     {"a b", 1, "bf bl! ar", "a"},
		"of no release":       {"a x", 5, "al!", "x"},
		"watch mode has none": {"a b", 1, "l! br ar", "a b"},
		"its status was not written when it was overtaken": {"a b c", 2, "cl! bl ar", "a"},
		"gone builds are nobody's":                         {"b c", 2, "cl! br ar", ""},
	} {
		releases := func(yield func(past) bool) {
			for _, word := range strings.Fields(c.releases) {
				word, live := strings.CutSuffix(word, "!")
				at := len(word) - 1
				state := map[byte]volume.State{'q': volume.Queued, 'b': volume.Booting, 'R': volume.Ready, 'l': volume.Live,
					'r': volume.Retired, 'f': volume.Failed, 'c': volume.Cancelled}[word[at]]
				if !yield(past{word[:at], live, state}) {
					return
				}
			}
		}
		if got := spare(strings.Fields(c.builds), c.keep, releases); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// History only grows: a look that finds all builds needed reads none of what is older.
func TestSpareReadsNoFurtherThanNeedBe(t *testing.T) {
	read := 0
	spare([]string{"999", "1000"}, 5, func(yield func(past) bool) {
		for n := 1000; n > 0; n-- {
			read++
			if !yield(past{strconv.Itoa(n), n == 1000, volume.Retired}) {
				return
			}
		}
	})
	if read != 2 {
		t.Errorf("%d releases were read", read)
	}
}

// deploys takes a release of a new build all the way, as a push does.
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

// left are the numbers of the releases whose builds are there.
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
	rig.Eventually(t, "nothing is left of the others", func() bool {
		entries, _ := filepath.Glob(filepath.Join(s.app.Volume().Root, "tmp", "*", "*"))
		return len(entries) == 0
	})
}

// pruned looks once, as the pruner does by itself in its time.
func (s *stage) pruned(rt *Runtime) (busy bool) {
	s.t.Helper()
	busy, err := newPruner(rt).prune(context.Background(), s.app)
	if err != nil {
		s.t.Error(err)
	}
	return busy
}

// Between checking a build out and publishing its release a push has a build of no release: it holds
// the turn, and so its build stays. Of one that was killed there nobody has the turn, and it goes.
func TestTheTurnGuardsABuildOfNoRelease(t *testing.T) {
	s := newStage(t)
	rt := &Runtime{Volume: s.app.Volume(), Engine: s, Log: slog.New(slog.DiscardHandler)}
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

// What cannot be read may be what needs a build.
func TestUnreadableHistoryKeepsAll(t *testing.T) {
	s := newStage(t)
	n := s.publish()
	r, err := s.app.Release(n)
	if err != nil {
		t.Fatal(err)
	}
	status := filepath.Join(filepath.Dir(s.app.ReleaseLog(n)), "status.json")
	if err := os.WriteFile(status, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	rt := &Runtime{Volume: s.app.Volume(), Engine: s, Log: slog.New(slog.DiscardHandler), KeepBuilds: 1}
	if _, err := newPruner(rt).prune(t.Context(), s.app); err == nil {
		t.Error("no error")
	}
	if _, err := s.app.Build(r.Build); err != nil {
		t.Error(err)
	}
}

// A version that is being retired still reads its files.
func TestBuildsInUseAreKept(t *testing.T) {
	s := newStage(t)
	rt := &Runtime{Volume: s.app.Volume(), Engine: s, Log: slog.New(slog.DiscardHandler), KeepBuilds: 1}
	for n := 1; n <= 2; n++ {
		if err := errors.Join(s.app.SetStatus(s.publish(), volume.Status{State: volume.Retired}), s.app.SetLive(n)); err != nil {
			t.Fatal(err)
		}
	}
	one, err := s.app.Release(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rt.start(Spec{App: s.app.Name, Release: 1, Tree: s.app.BuildTree(one.Build)})
	if err != nil {
		t.Fatal(err)
	}
	s.pruned(rt)
	if left := s.left(); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	p.Stop(0)
	s.pruned(rt)
	if left := s.left(); !slices.Equal(left, []int{2}) {
		t.Errorf("left: %v", left)
	}
}
