package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"paas/rig"
	"paas/volume"
)

// A deploy, with the removal of the oldest build, costs the same after ten releases and after
// 20,000: it neither reads nor lists old releases.
func TestHistoryCostsNothing(t *testing.T) {
	reads := map[int]int{}
	many := 20_000
	if testing.Short() {
		many = 2000
	}
	for _, releases := range []int{10, many} {
		s := newStage(t)
		n := s.publish() // live before all others, with its own build
		s.app.Commit(n)
		dir := filepath.Dir(s.app.ReleaseLog(n))
		if err := errors.Join(s.app.SetStatus(n, volume.Status{State: volume.Failed})); err != nil {
			t.Fatal(err)
		}
		for n := 2; n <= releases; n++ { // failed, so that a search for a live one reads them all
			to := filepath.Join(filepath.Dir(dir), strconv.Itoa(n))
			if err := os.Mkdir(to, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(filepath.Join(dir, "status.json"), filepath.Join(to, "status.json")); err != nil {
				t.Fatal(err)
			}
		}
		s.run()
		for range 5 { // as many builds as are kept
			s.deploys()
		}
		reads[releases] = deployed(t, s, releases)
	}
	if more := reads[many] - reads[10]; more > 1000 {
		t.Errorf("a deploy reads %d times after 10 releases, %d times after %d", reads[10], reads[many], many)
	}
}

func deployed(t *testing.T, s *stage, releases int) int {
	reads, listings := rig.Work(t, func() {
		s.deploys()
		rig.Eventually(t, "the oldest build is gone", func() bool { builds, _ := s.app.Builds(); return len(builds) == 5 })
	}, filepath.Join(s.app.Dir(), "releases"))
	if listings > 0 {
		t.Errorf("after %d releases a deploy lists them %d times", releases, listings)
	}
	if want := []int{releases + 2, releases + 3, releases + 4, releases + 5, releases + 6}; !slices.Equal(s.newestBuilds(5), want) {
		t.Errorf("kept are the builds of %v, not of %v", s.newestBuilds(5), want)
	}
	return reads
}

// newestBuilds lists those of the last releases whose build still exists.
func (s *stage) newestBuilds(last int) (numbers []int) {
	for n := range s.app.History() {
		if r, err := s.app.Release(n); err == nil && s.app.BuildKept(r.Build) {
			numbers = append(numbers, n)
		}
		if len(numbers) == last {
			break
		}
	}
	slices.Reverse(numbers)
	return numbers
}
