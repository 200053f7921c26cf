package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
)

func TestAsNobody(t *testing.T) { rig.AsNobody(t, "^TestPlaceForbidden$") }

// The server's user may not read a folder that is in the way, such as one of an app's container
// that runs as root: the error names it and says what to do. Once it is gone, the next push goes
// through.
func TestPlaceForbidden(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("SKIP: nothing is forbidden to root; TestAsNobody runs this")
	}
	s := newStage(t)
	repo, all := commits(t, "one", "two")
	objects := repo.Objects()
	defer objects.Close()
	if _, err := s.inPlace(all[0], objects); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(s.app.Worktree(), "page")
	err := errors.Join(
		os.Remove(page), os.Mkdir(page, 0o700), os.WriteFile(filepath.Join(page, "x"), nil, 0o600),
		os.Chmod(page, 0),
	)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.inPlace(all[1], objects)
	if err == nil || !strings.HasPrefix(err.Error(), "worktree: page is in the way: ") ||
		!strings.HasSuffix(
			err.Error(),
			"permission denied. the server's user may not change that; remove it, or make that user its owner, then push again",
		) {
		t.Error(err)
	}
	if err := errors.Join(os.Chmod(page, 0o700), os.RemoveAll(page)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.inPlace(all[1], objects); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(page); string(content) != "two" {
		t.Errorf("%q, %v", content, err)
	}
}
