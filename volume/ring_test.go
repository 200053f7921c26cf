package volume

import (
	"os"
	"path/filepath"
	"testing"
)

// A write that fails rings no bell: the writer itself wakes at it, and would try again at once.
func TestFailedWriteDoesNotRing(t *testing.T) {
	a := testApp(t)
	v := a.Volume()
	if _, err := a.Publish(Release{}); err != nil {
		t.Fatal(err)
	}
	bell := filepath.Join(v.Root, "bell", "blog")
	for name, write := range map[string]func() error{
		"processes": func() error { return a.SetProcesses([]Process{{Type: "web"}}) },
		"status":    func() error { return a.SetStatus(1, Status{State: Ready}) },
		"asleep":    func() error { return a.SetAsleep(Asleep{Release: 1}) },
		"cron":      func() error { return a.SetCron(Cron{}) },
		"looked":    func() error { return a.SetLooked(Looked{}) },
		"source":    func() error { return a.SetSource(Source{URL: "https://example.com"}) },
		"commit":    func() error { return a.Commit(1) },
		"cancel":    func() error { return a.Cancel(1, "") },
	} {
		for _, full := range []bool{true, false} {
			if full {
				if err := os.Rename(filepath.Join(v.Root, "tmp"), filepath.Join(v.Root, "away")); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.RemoveAll(bell); err != nil {
				t.Fatal(err)
			}
			err := write()
			if full != (err != nil) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := os.Stat(bell); full != (err != nil) {
				t.Errorf("%s, failed %v: the bell: %v", name, full, err)
			}
			if full {
				if err := os.Rename(filepath.Join(v.Root, "away"), filepath.Join(v.Root, "tmp")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
