package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
	"paas/volume"
)

// No matter which file of an app is damaged, while the server runs or before it starts, the live
// release runs, unless the damage hides which one that is. The next release gets its final state.
func TestDamaged(t *testing.T) {
	damages := map[string]func(t *testing.T, path string){
		"missing": func(t *testing.T, path string) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) { replace(t, path, "") },
		"torn":  func(t *testing.T, path string) { replace(t, path, `{"n`) },
		"odd":   func(t *testing.T, path string) { replace(t, path, `[7]`) },
		"a folder": func(t *testing.T, path string) {
			for os.MkdirAll(filepath.Join(path, "sub"), 0o755) != nil { // the runtime may write the file again in between
				os.RemoveAll(path)
			}
		},
	}
	for _, file := range []string{
		"settings.json", "wanted.json", "source.json", "looked.json", "processes.json", "cron.json", "asleep.json", "id", "live",
		"releases/1/release.json", "releases/1/status.json", "releases/2/status.json", "releases/2/log", "releases/2/commit",
		"builds/BUILD/build.json", "cache", "data", "logs", "repo.git",
		"releases/2/release.json", "builds/BUILD/built.json", // without these the live release cannot be known
	} {
		for how, damage := range damages {
			for _, running := range []bool{true, false} {
				name := file + " " + how
				if how != "missing" && (file == "cache" || file == "data" || file == "logs") || file == "id" && (how == "torn" || how == "odd") {
					continue // the app's identity: any text is a valid one
				}
				if running {
					name += ", running"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := newStage(t)
					done := s.turn()
					stop := s.run()
					for range 2 {
						n := s.publish()
						s.reaches(n, volume.Ready)
						s.app.Commit(n)
						s.reaches(n, volume.Live)
					}
					done()
					r, err := s.app.Release(2)
					if err != nil {
						t.Fatal(err)
					}
					if !running {
						stop()
					}
					before := s.actor(2)
					damage(t, filepath.Join(s.app.Dir(), strings.Replace(file, "BUILD", r.Build, 1)))
					told := !strings.HasSuffix(file, "2/release.json") && !strings.HasSuffix(file, "built.json")
					if !running {
						s.run()
						if told {
							rig.Eventually(t, name+": v2 runs", func() bool { a := s.actor(2); return a != before && !a.Ended() })
						}
					}
					s.app.Ring()
					s.turn()
					if err := s.app.Repair(); err != nil { // as each deploy does
						t.Errorf("%s: %v", name, err)
					}
					n := s.publish()
					s.reaches(n, volume.Ready)
					if a := s.actor(2); told && a.Ended() {
						t.Errorf("%s: v2 was stopped", name)
					}
					s.app.Commit(n)
					s.reaches(n, volume.Live)
				})
			}
		}
	}
}

// replace atomically replaces path by a file with this content.
func replace(t *testing.T, path, content string) {
	t.Helper()
	tmp := filepath.Join(t.TempDir(), "damaged")
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		os.RemoveAll(path)
	}
	if err := errors.Join(os.WriteFile(tmp, []byte(content), 0o644), os.Rename(tmp, path)); err != nil {
		t.Fatal(err)
	}
}
