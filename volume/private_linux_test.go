package volume

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// openAsNobody opens the volume with nobody's rights to files.
func openAsNobody(root string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // it ends with the goroutine
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		result <- (&Volume{Root: root}).Open()
	}()
	return <-result
}

// In containers each role has the volume, and the folders of the others' secrets are empty places that
// the engine made as root, open and not to be closed: no container but that of git started.
func TestOpenBesideMountPoints(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have a folder of another user's")
	}
	root, err := os.MkdirTemp("", "paas-mount") // a test's own folder lies where others may not go
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	err = os.Chown(root, nobody, -1)
	for _, dir := range []string{"ssh", "sources"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(root, dir), 0o755)
		}
	}
	if err == nil {
		err = openAsNobody(root)
	}
	if err != nil {
		t.Error(err)
	}
}

// A root that is open and another user's cannot be closed, and is refused with what to do.
func TestOpenRefusesAnOpenRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have a folder of another user's")
	}
	root, err := os.MkdirTemp("", "paas-open") // a test's own folder lies where others may not go
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	err = openAsNobody(root)
	if err == nil || !strings.Contains(err.Error(), "is open to other users (drwxrwxrwx) and cannot be closed: ") ||
		!strings.HasSuffix(err.Error(), "as its owner: chmod 700 "+root+"; or choose a folder below it as PAAS_ROOT") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("in it is %v, %v", left, err)
	}
}
