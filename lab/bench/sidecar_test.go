//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paas/lab/proc"
)

// The processor time of a shell's children counts as the shell's once they have ended.
func TestUsed(t *testing.T) {
	dir := t.TempDir()
	const burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
	for name, script := range map[string]string{"itself": burn, "child": "sh -c '" + burn + "'; :"} {
		t.Run(name, func(t *testing.T) {
			mark := filepath.Join(dir, name)
			cmd := proc.Command(t.Context(), os.Environ(), "sh", "-c", script+"; : >"+mark+"; read -r end")
			hold, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer end(cmd)
			defer hold.Close()
			if err := await(t.Context(), time.Millisecond, "the shell is not done", func() bool {
				_, err := os.Stat(mark)
				return err == nil
			}); err != nil {
				t.Fatal(err)
			}
			got, err := used(cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			hold.Close()
			cmd.Wait()
			state := cmd.ProcessState
			whole := state.UserTime() + state.SystemTime()        // as the kernel reports it at the end
			if got < whole/2 || got > whole+20*time.Millisecond { // two ticks
				t.Errorf("%s, and in the end %s", got, whole)
			}
		})
	}
	if _, err := used(1 << 30); err == nil {
		t.Error("a process that is not there used time")
	}
}

func TestReadPinned(t *testing.T) {
	for name, c := range map[string]struct {
		first, last string // empty: no such file
		want        int    // 0: torn
	}{
		"whole":   {"7", "7", 7},
		"mixed":   {"7", "6", 0},
		"half":    {"7", "", 0},
		"nothing": {"", "", 0},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{firstFile: c.first, lastFile: c.last} {
			if text != "" {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := readPinned(func() (string, error) { return dir, nil })
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: commit %d, %v", name, got, err)
		}
	}
}

func TestScrape(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `# HELP polls_total Polls.
polls_total{app="a"} 3
polls_total{app="b",result="no one"} 4
polls_total_more{} 9`)
	}))
	defer server.Close()
	if n, err := scrape(t.Context(), server.Listener.Addr().String(),
		"polls_total{"); n != 7 || err != nil {
		t.Error(n, err)
	}
	server.Close()
	if _, err := scrape(t.Context(), server.Listener.Addr().String(), "polls_total{"); err == nil {
		t.Error("nobody answers, and no error")
	}
}
