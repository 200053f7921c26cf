package subprocess

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// With TEST_PARENT this is a program that runs a command and prints something once that has
// started.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_PARENT") != "" {
		cmd := Command(context.Background(), "sleep", "100")
		cmd.Stdout = os.Stdout
		Run(cmd, func() { fmt.Println("started") })
		return
	}
	os.Exit(m.Run())
}

// pipe returns a pipe whose reader sees the end when every process that has the writer has ended. A
// test that fails does not wait for longer than 30 s.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.SetReadDeadline(time.Now().Add(3 * time.Second))
	t.Cleanup(func() { r.Close() })
	return r, w
}

// When ctx ends, what the command has started ends too.
func TestCommandEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := pipe(t)
	cmd := Command(ctx, "sh", "-c", "sleep 100 & echo started; wait")
	cmd.Stdout = w
	err := Run(cmd, func() {
		w.Close()
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if err == nil {
		t.Error("the command ended by itself")
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("the command's child lives: %v", err)
	}
}

// On Linux a command ends when the process that runs it is killed.
func TestCommandEndsWithProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only Linux sends a signal when the parent ends")
	}
	r, w := pipe(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "TEST_PARENT=yes")
	parent.Stdout = w
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out := bufio.NewReader(r)
	_, err := out.ReadString('\n')
	parent.Process.Kill()
	parent.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Errorf("the command lives: %v", err)
	}
}
