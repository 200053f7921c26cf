package git

import (
	"errors"
	"os"
	"slices"
	"testing"

	"paas/rig"
)

func TestAsNobody(t *testing.T) { rig.AsNobody(t, "^TestReplaceReadOnlyFolder$") }

// A read-only folder made by the app, such as Go's module cache, can be replaced.
func TestReplaceReadOnlyFolder(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1", "d/b": "-1"}, files{"a": "-1", "d": "la"})
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	w.write(t, "d/mod/x", "mine")
	if err := errors.Join(os.Chmod(w.path("d/mod"), 0o555),
		os.Chmod(w.path("d"), 0o555)); err != nil {
		t.Fatal(err)
	}
	if got := w.mustTo(t, r, c[1]); !slices.Equal(got.Displaced, []string{"d"}) {
		t.Errorf("%+v", got)
	}
	compareTrees(t, "after", readTree(t, w.Dir), fresh(t, r, c[1]))
}
