package volume

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody calls do with the rights of the user nobody, in a folder of that user. Without root it
// calls it as the user that runs the tests.
func asNobody(t *testing.T, do func(dir string)) {
	t.Helper()
	if os.Getuid() != 0 {
		do(t.TempDir())
		return
	}
	dir, err := os.MkdirTemp("", "paas-nobody") // other users may not enter the folder of a test
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread has the rights of nobody, and ends with the goroutine
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		do(dir)
	}()
	<-done
}

// closedTree makes a tree like Go's module cache: not even their owner may write to its folders.
func closedTree(t *testing.T, dir string) {
	t.Helper()
	inner := filepath.Join(dir, "pkg", "mod")
	err := errors.Join(
		os.MkdirAll(inner, 0o755), os.WriteFile(filepath.Join(inner, "f"), nil, 0o444),
		os.Symlink("../../..", filepath.Join(inner, "out")),
		os.Mkdir(filepath.Join(inner, "unread"), 0o700),
		os.WriteFile(filepath.Join(inner, "unread", "f"), nil, 0o444),
	)
	err = errors.Join(
		err, os.Chmod(filepath.Join(inner, "unread"), 0), os.Chmod(inner, 0o555),
		os.Chmod(filepath.Dir(inner), 0o555),
	)
	if err != nil {
		t.Error(err)
	}
}

// Folders that nobody may write to are removed with the app and with its build. Once they stayed in
// tmp/, and no server without root started on the volume any more.
func TestClosedFoldersGo(t *testing.T) {
	asNobody(t, func(dir string) {
		root := filepath.Join(dir, "root")
		v := &Volume{Root: root}
		if err := v.Open(); err != nil {
			t.Error(err)
			return
		}
		a, err := v.Create("blog")
		if err != nil {
			t.Error(err)
			return
		}
		tmp, err := v.TempDir()
		if err != nil {
			t.Error(err)
			return
		}
		b, err := a.PublishBuild(Build{Commit: "0123456789abcdef"}, tmp)
		if err != nil {
			t.Error(err)
			return
		}
		closedTree(t, filepath.Join(a.BuildTree(b.ID), "go"))
		closedTree(t, filepath.Join(a.Data(), "\xe9t\xe9")) // no UTF-8
		if err := errors.Join(a.RemoveBuild(b.ID), v.Destroy(a), v.Wipe()); err != nil {
			t.Error(err)
		}
		if left := found(v); left != "" {
			t.Error("left in tmp/:", left)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Error("a link was followed:", info, err)
		}
		closedTree(t, filepath.Join(root, "tmp", "dead", "go"))
		if err := v.Wipe(); err != nil {
			t.Error(err)
		}
		if left := found(v); strings.Contains(left, "dead") {
			t.Error("left in tmp/:", left)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
}

// found lists what is in tmp/, without the process's own empty folder.
func found(v *Volume) string {
	var names []string
	filepath.WalkDir(
		filepath.Join(v.Root, "tmp"),
		func(path string, d os.DirEntry, err error) error {
			if path != filepath.Join(v.Root, "tmp") && path != v.tmpDir.dir {
				names = append(names, path)
			}
			return nil
		},
	)
	return strings.Join(names, " ")
}

// Files of another user, such as an app's container that runs as root, cannot be removed: that is
// logged once, and the rest is removed.
func TestWipeGoesOn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have files of another user's")
	}
	var log bytes.Buffer
	asNobody(t, func(dir string) {
		v := &Volume{
			Root: filepath.Join(dir, "root"),
			Log:  slog.New(slog.NewTextHandler(&log, nil)),
		}
		if err := v.Open(); err != nil {
			t.Error(err)
			return
		}
		for _, name := range []string{"a", "b", "c"} {
			path := filepath.Join(v.Root, "tmp", name, "made")
			err := errors.Join(
				os.MkdirAll(path, 0o755), os.WriteFile(filepath.Join(path, "f"), nil, 0o644),
			)
			if err != nil {
				t.Error(err)
			}
		}
		theirs := make(chan error)
		go func() { theirs <- os.Chown(filepath.Join(v.Root, "tmp", "b", "made"), 0, 0) }() // with the rights of root
		if err := <-theirs; err != nil {
			t.Error(err)
		}
		if err := v.Wipe(); err != nil {
			t.Error(err)
		}
		left := found(v)
		if !strings.HasSuffix(left, "/b/made/f") || strings.Contains(left, "/a") ||
			strings.Contains(left, "/c") {
			t.Error("left in tmp/:", left)
		}
	})
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "tmp/b") ||
		!strings.Contains(log.String(), "permission denied") {
		t.Errorf("the log says:\n%s", log.String())
	}
}
