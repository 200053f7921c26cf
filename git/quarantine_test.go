package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A quarantine can be removed while a git process that outlived its server writes to it. It was
// left behind with "directory not empty".
func TestRemoveQuarantineInUse(t *testing.T) {
	r := newRepo(t)
	objects := filepath.Join(r.Dir, "objects")
	for range 50 {
		dir, err := os.MkdirTemp(objects, "tmp_objdir-incoming-")
		if err != nil {
			t.Fatal(err)
		}
		began, stop, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				folder := filepath.Join(dir, strconv.Itoa(i%256))
				err := os.Mkdir(folder, 0o755)
				if err == nil || errors.Is(err, fs.ErrExist) {
					err = os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), nil, 0o444)
				}
				if i == 20 {
					close(began)
				}
				select {
				case <-stop:
					err = errors.New("it was stopped")
				default:
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
		<-began
		if err := r.RemoveQuarantines(); err != nil {
			t.Error(err)
			close(stop)
		}
		if err := <-ended; !errors.Is(err, fs.ErrNotExist) {
			t.Error("the other process ends with", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(objects, "*objdir*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
