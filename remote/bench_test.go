package remote

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// cpu returns the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkHead measures a poll that finds nothing new, over a kept connection. The servers run in
// another process: their work counts in the elapsed time but not in cpu-us/head.
func BenchmarkHead(b *testing.B) {
	root := b.TempDir()
	newRepository(b, root, "repo.git").commit("main", map[string]string{"a": "1"})
	cmd := exec.Command(os.Args[0], "-test.run=^TestServe$")
	cmd.Env = append(os.Environ(), serveRoot+"="+root)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	})
	var remotes map[string]Remote
	if err := json.NewDecoder(out).Decode(&remotes); err != nil {
		b.Fatal(err)
	}
	for _, way := range []string{"http", "ssh", "git"} {
		b.Run(way, func(b *testing.B) {
			c := newClient(b)
			head := func() {
				if _, err := c.Head(b.Context(), remotes[way], Ref{Branch: "main"}); err != nil {
					b.Fatal(err)
				}
			}
			head()
			before := cpu(b)
			for b.Loop() {
				head()
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/head")
		})
	}
}

const serveRoot = "REMOTE_TEST_SERVE"

// TestServe is the other process of BenchmarkHead. It serves until its input ends.
func TestServe(t *testing.T) {
	root := os.Getenv(serveRoot)
	if root == "" {
		return
	}
	remotes := map[string]Remote{}
	for way, remote := range remotesOf(t, root) {
		remotes[way] = remote("repo.git")
	}
	if err := json.NewEncoder(os.Stdout).Encode(remotes); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, os.Stdin)
}
