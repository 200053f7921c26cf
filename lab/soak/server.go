//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"paas/lab/proc"
)

// server is "paas serve" on one root and the same ports, restarted many times.
type server struct {
	binary, root      string
	sshPort, httpPort string
	env               []string
	log               string

	read int64 // bytes of the log that were searched

	mu       sync.Mutex
	cmd      *exec.Cmd
	gone     chan struct{} // closed when cmd has exited
	stopping bool          // end was called
}

func newServer(binary, root, log string) *server {
	s := &server{binary: binary, root: root, log: log, sshPort: freePort(), httpPort: freePort()}
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(root), "PAAS_ROOT=" + root,
		"PAAS_DOMAIN=localhost",
		"PAAS_APP_NET=open", // leaves this machine's firewall alone
		"PAAS_SSH_ADDR=127.0.0.1:" + s.sshPort, "PAAS_HTTP_ADDR=127.0.0.1:" + s.httpPort,
		"PAAS_GRACE=3s", "PAAS_PROVE=500ms", "PAAS_DRAIN=5s", "PAAS_BOOT_TIMEOUT=5s",
		"PAAS_BUILD_TIMEOUT=1m", "PAAS_MIN_FREE=4MiB", "PAAS_HOLD=30s",
	}
	return s
}

// freePort returns a free port of the loopback interface, below the ranges of apps and of the
// system.
func freePort() string {
	for {
		port := fmt.Sprint(10000 + rand.IntN(9999))
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
}

// start starts the server and returns when it is ready.
func (s *server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := proc.Command(context.WithoutCancel(ctx), s.env, s.binary, "serve")
	cmd.Stderr = log
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		cmd.Wait()
		close(gone)
	}()
	s.mu.Lock()
	s.cmd, s.gone, s.stopping = cmd, gone, false
	s.mu.Unlock()
	slow := time.AfterFunc(time.Minute, func() { r.SetReadDeadline(time.Now()) })
	defer slow.Stop()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if lines.Text() == "ready" {
			return nil
		}
	}
	return errors.New("paas serve was not ready within a minute, or ended")
}

// serving returns the process that serves. The one that was started keeps it, and the apps.
func (s *server) serving() int { return proc.Serving(s.pid()) }

// reload restarts the server as planned, and returns once the next one serves.
func (s *server) reload(ctx context.Context) error {
	_, err := proc.Output(proc.Command(ctx, s.env, s.binary, "reload"))
	return err
}

// pid returns the process that was started.
func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

func (s *server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// crashed returns how the server exited if nobody stopped it, and otherwise "". It waits a moment
// for an exit.
func (s *server) crashed() string {
	s.mu.Lock()
	cmd, gone, stopping := s.cmd, s.gone, s.stopping
	s.mu.Unlock()
	if cmd == nil || stopping {
		return ""
	}
	select {
	case <-gone:
		return cmd.ProcessState.String()
	case <-time.After(200 * time.Millisecond):
		return ""
	}
}

// end sends the server a signal and waits until it has exited.
func (s *server) end(signal syscall.Signal, patience time.Duration) (status int, err error) {
	s.mu.Lock()
	cmd, gone := s.cmd, s.gone
	s.stopping = true
	s.mu.Unlock()
	cmd.Process.Signal(signal)
	select {
	case <-gone:
		return cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("paas serve did not end within %v of %v", patience, signal)
	}
}

// note adds a line to the server's log that says what the soak did.
func (s *server) note(format string, args ...any) {
	if f, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err == nil {
		fmt.Fprintf(f, "======== soak: "+format+"\n", args...)
		f.Close()
	}
}

// faults returns the new lines of the server's log that report a bug, each with the lines after it.
func (s *server) faults() (found []string, err error) {
	f, err := os.Open(s.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(s.read, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	s.read += int64(len(text))
	for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "panic serving", "fatal error: "} {
		if i := strings.Index(string(text), sign); i >= 0 {
			found = append(found, string(text[i:min(len(text), i+2000)]))
		}
	}
	return found, err
}

// figures are the resources that the server uses.
type figures struct {
	Files    int // open files other than sockets
	Sockets  int
	Threads  int
	Resident int // kB
}

// usage reads the server's figures.
func (s *server) usage() (f figures) {
	pid := s.serving()
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range open {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, "socket:") {
			f.Sockets++
		} else {
			f.Files++
		}
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "VmRSS: %d kB", &f.Resident)
		fmt.Sscanf(line, "Threads: %d", &f.Threads)
	}
	return f
}
