package runtime

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"paas/volume"
)

// The output of a build is cut off at a limit, with one line that says so. The build goes on.
func TestBounded(t *testing.T) {
	var out strings.Builder
	b := &bounded{to: &out, left: 1000}
	var writers sync.WaitGroup
	for range 10 {
		writers.Go(func() {
			for range 50 {
				if n, err := b.Write([]byte("seven7\n")); n != 7 || err != nil {
					t.Error(n, err)
				}
			}
		})
	}
	writers.Wait()
	kept, note, _ := strings.Cut(out.String(), "\n----->")
	if len(kept) != 1000 || !strings.HasPrefix(kept, strings.Repeat("seven7\n", 142)) {
		t.Errorf("%d bytes: %q", len(kept), kept)
	}
	if note != " It has printed 16 MiB; the rest is not shown\n" {
		t.Errorf("it says %q", note)
	}
	full := &bounded{to: failing{}, left: 1000}
	if n, err := full.Write([]byte("x")); n != 0 || err == nil {
		t.Error(n, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

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
