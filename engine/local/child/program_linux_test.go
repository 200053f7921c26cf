package child

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "github.com/landlock-lsm/go-landlock/landlock" // has C, so that the system's linker makes this program
)

// A process works as before without the pages of its program, to its end. With the race detector,
// that end calls through addresses that the dynamic linker wrote into a page that is read-only now.
func TestDropProgramPages(t *testing.T) {
	if os.Getenv("DROP_PROGRAM_PAGES") != "" {
		before := filePages(t)
		DropProgramPages()
		if after := filePages(t); after >= before {
			t.Errorf("%d kB of files are mapped, after %d kB", after, before)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestDropProgramPages$")
	cmd.Env = append(os.Environ(), "DROP_PROGRAM_PAGES=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// filePages is how much of files this process has mapped, in kB.
func filePages(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "RssFile: %d kB", &kb)
	}
	if kb == 0 {
		t.Fatalf("no RssFile in\n%s", status)
	}
	return kb
}
