package local

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Files that the server was started with are none of an app's: a descriptor of a folder leads
// around what is covered, one of a socket to whoever is at its end.
func TestInheritedFiles(t *testing.T) {
	fd, err := unix.Open(t.TempDir(), unix.O_PATH, 0) // as from the server's own parent: it is passed on
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	l := newLocal(t)
	if out := printed(t, l, spec{}, fmt.Sprintf("ls -l /proc/self/fd/%d", fd)); !strings.Contains(out, "No such file") {
		t.Errorf("%s", out)
	}
}
