package volume

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

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
	const nobody = 65534
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // it has nobody's rights to files, and ends with the goroutine
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		result <- (&Volume{Root: root}).Open()
	}()
	err = <-result
	if err == nil || !strings.Contains(err.Error(), "is open to other users (drwxrwxrwx) and cannot be closed: ") ||
		!strings.HasSuffix(err.Error(), "as its owner: chmod 700 "+root+"; or choose a folder below it as PAAS_ROOT") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("in it is %v, %v", left, err)
	}
}
