package reflink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// used is how many bytes of a file system are in use.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	unix.Sync()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize
}

// A copy has the same files, takes next to no space, and is not changed by a change of the first.
func TestTree(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	for _, kind := range []string{"xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) {
			top := rig.Disk(t, kind)
			from, to := filepath.Join(top, "from"), filepath.Join(top, "to")
			if err := errors.Join(os.MkdirAll(from+"/d/e", 0o755), os.Chmod(from, 0o755), os.Chmod(from+"/d", 0o755), os.Chmod(from+"/d/e", 0o755)); err != nil {
				t.Fatal(err)
			}
			const size = 30 << 20
			err := errors.Join(
				os.WriteFile(from+"/d/big", []byte(strings.Repeat("big", size/3)), 0o600), os.Chmod(from+"/d/big", 0o755),
				os.WriteFile(from+"/d/e/empty", nil, 0o600), os.Chmod(from+"/d/e/empty", 0o644), os.Symlink("../..", from+"/d/link"),
				os.Lchown(from+"/d", 1234, 1235), os.Lchown(from+"/d/e/empty", 1234, 0), os.Lchown(from+"/d/link", 1234, 1235),
			)
			if err != nil {
				t.Fatal(err)
			}
			before := used(t, top)
			if err := Tree(t.Context(), from, to); err != nil {
				t.Fatal(err)
			}
			if more := used(t, top) - before; more > size/4 {
				t.Errorf("the copy takes %d bytes", more)
			}
			if got, want := list(t, to), list(t, from); got != want {
				t.Errorf("the copy is\n%s\nwant\n%s", got, want)
			}
			f, err := os.OpenFile(to+"/d/big", os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("changed")
				err = errors.Join(err, f.Close())
			}
			content, readErr := os.ReadFile(from + "/d/big")
			if err != nil || readErr != nil || !strings.HasPrefix(string(content), "bigbig") {
				t.Errorf("the first has changed: %.10q, %v, %v", content, err, readErr)
			}
		})
	}
}

// list describes what is in a folder.
func list(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		link, _ := os.Readlink(path)
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		own := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&all, path[len(dir):], info.Mode(), size, link, own.Uid, own.Gid)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return all.String()
}

func TestTreeUnsupported(t *testing.T) {
	from, to := t.TempDir(), "/dev/shm"
	if err := os.WriteFile(from+"/f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	to, err := os.MkdirTemp(to, "reflink") // another file system
	if err != nil {
		t.Skip("NOT TESTED: another file system:", err)
	}
	defer os.RemoveAll(to)
	if err := Tree(t.Context(), from, filepath.Join(to, "to")); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
