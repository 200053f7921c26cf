package local

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Apps do not inherit the files that the server was started with: a descriptor of a folder would
// give access to hidden folders, and one of a socket to the program at its other end.
func TestInheritedFiles(t *testing.T) {
	fd, err := unix.Open(t.TempDir(), unix.O_PATH, 0) // without O_CLOEXEC, as if the server's parent had opened it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	l := newLocal(t)
	if out := printed(t, l, spec{}, fmt.Sprintf("ls -l /proc/self/fd/%d", fd)); !strings.Contains(out, "No such file") {
		t.Errorf("%s", out)
	}
}
