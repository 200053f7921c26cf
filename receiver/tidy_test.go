package receiver

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paas/rig"
)

// litter makes the app's repository untidy, and all files in it old.
func (s *server) litter(app string) {
	s.t.Helper()
	objects := filepath.Join(s.app(app).Repo(), "objects")
	for i := range 20 { // files are counted
		if err := os.MkdirAll(filepath.Join(objects, "17"), 0o755); err != nil {
			s.t.Fatal(err)
		}
		err := os.WriteFile(filepath.Join(objects, "17", fmt.Sprintf("tmp_obj_%d", i)), nil, 0o444)
		if err != nil {
			s.t.Fatal(err)
		}
	}
	week := time.Now().Add(-7 * 24 * time.Hour)
	err := filepath.WalkDir(objects, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chtimes(path, week, week)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) untidy(app string) bool {
	s.t.Helper()
	untidy, err := s.repo(s.app(app)).NeedsGC()
	if err != nil {
		s.t.Fatal(err)
	}
	return untidy
}

// Commits of builds stay, even if a force push has dropped them; others are removed.
func TestTidyKeepsTheCommitsOfBuilds(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	var commits []string
	for _, message := range []string{"one", "two", "three"} {
		c.git("commit", "-q", "--amend", "-m", message)
		commits = append(commits, c.git("rev-parse", "HEAD"))
		c.git("push", "-f", "paas", "main")
	}
	rig.Eventually(t, "the pushes have ended", func() bool { return !s.busy() })
	first, err := s.app("blog").Release(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.app("blog").RemoveBuild(first.Build); err != nil {
		t.Fatal(err)
	}
	s.litter("blog")
	s.tidyAll(t.Context())
	s.tidying.running.Wait()
	if s.untidy("blog") {
		t.Error("it is as it was")
	}
	objects := s.repo(s.app("blog")).Objects()
	defer objects.Close()
	for i, kept := range []bool{false, true, true} {
		if _, err := objects.Commit(commits[i]); (err == nil) != kept {
			t.Errorf("v%d: %v", i+1, err)
		}
	}
	c.commit("four", "page", "4")
	c.git("push", "paas", "main")

	rig.Eventually(t, "the push has ended", func() bool { return !s.busy() })
	s.litter("blog")
	s.tidyAll(t.Context())
	s.tidying.running.Wait()
	if !s.untidy("blog") {
		t.Error("tidied twice within the hour")
	}
}

// busy reports whether a push is under way.
func (s *server) busy() bool {
	s.opening.Lock()
	defer s.opening.Unlock()
	return len(s.active) > 0
}

// A push to the app that is being tidied stops the tidying and goes on. While a push is under way,
// no tidying begins.
func TestPushEndsTheTidying(t *testing.T) {
	g := newGate("tidying")
	s := newServer(t, g.set)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	rig.Eventually(t, "the push has ended", func() bool { return !s.busy() })
	s.litter("blog")
	s.tidyAll(t.Context())
	g.wait(t)
	c.commit("two", "page", "2")
	pushed := make(chan string, 1)
	go func() { pushed <- c.git("push", "paas", "main") }()
	rig.Eventually(t, "the push has come", s.busy)
	s.tidyAll(t.Context()) // not beside it
	close(g.open)
	contains(t, <-pushed, "blog v2 is live")
	s.tidying.running.Wait()
	if !s.untidy("blog") {
		t.Error("it was tidied all the same")
	}
	rig.Eventually(t, "the push has ended", func() bool { return !s.busy() })
	s.tidyAll(t.Context()) // the one that was interrupted is tidied now
	s.tidying.running.Wait()
	if s.untidy("blog") {
		t.Error("it is as it was")
	}
}
