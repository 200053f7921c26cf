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

// openAsNobody opens the volume with the rights of the user nobody.
func openAsNobody(root string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		result <- (&Volume{Root: root}).Open()
	}()
	return <-result
}

// In containers each role mounts the volume, and for secrets of other roles the engine makes empty
// folders as root, which are open and cannot be closed. Once, only the container of git started.
func TestOpenBesideMountPoints(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have a folder of another user's")
	}
	root, err := os.MkdirTemp("", "paas-mount") // other users may not enter the folder of a test
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

// A root that is open and belongs to another user cannot be closed: Open refuses it and says what
// to do.
func TestOpenRefusesAnOpenRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have a folder of another user's")
	}
	root, err := os.MkdirTemp("", "paas-open") // other users may not enter the folder of a test
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	err = openAsNobody(root)
	if err == nil ||
		!strings.Contains(
			err.Error(), "is open to other users (drwxrwxrwx) and cannot be closed: ",
		) ||
		RemedyOf(err) != (Remedy{Do: ChooseRoot, With: root}) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("in it is %v, %v", left, err)
	}
}
