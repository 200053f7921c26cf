package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"paas/rig"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/term"
)

// terminal SESSION PROGRAM [ARG...] runs the program at a terminal of 100 columns and 30 rows. A
// person at the terminal does what the file SESSION says, line by line:
//
//	see TEXT        wait until TEXT is on the screen, after the text seen before
//	type "TEXT"     press these keys, quoted as in Go
//	size 132 43     resize the window to these columns and rows
//	signal TERM     send the program this signal
//	end N           wait until the program exits with status N
//
// The program must restore the terminal.
func cmdTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: terminal SESSION PROGRAM [ARG...]")
	}
	master, device, err := pty.Open()
	ts.Check(err)
	defer master.Close()
	defer device.Close()
	ts.Check(pty.Setsize(master, &pty.Winsize{Cols: 100, Rows: 30}))
	before, err := term.GetState(int(device.Fd()))
	ts.Check(err)
	cmd := exec.Command("/usr/bin/env", args[1:]...) // finds the program in the script's PATH
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(scriptEnv(ts, "PAAS_ROOT", "PAAS_SSH_ADDR", "PAAS_HTTP_ADDR"), "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = device, device, device
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	s := &screen{}
	go s.watch(master)
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		do, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch do {
		case "see":
			if !s.see(what) {
				ts.Fatalf("%q did not appear on the screen:\n%s", what, s.text())
			}
		case "type":
			keys, err := strconv.Unquote(what)
			ts.Check(err)
			_, err = master.WriteString(keys)
			ts.Check(err)
		case "size":
			var size pty.Winsize
			_, err := fmt.Sscan(what, &size.Cols, &size.Rows)
			ts.Check(err)
			ts.Check(pty.Setsize(master, &size))
		case "signal":
			signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
			ts.Check(cmd.Process.Signal(signals[what]))
		case "end":
			select {
			case <-ended:
			case <-time.After(rig.Patience):
				ts.Fatalf("the program did not exit; the screen:\n%s", s.text())
			}
			if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != what {
				ts.Fatalf("exit status %s, want %s; the screen:\n%s", got, what, s.text())
			}
		default:
			ts.Fatalf("not a line of a session: %s", line)
		}
	}
	after, err := term.GetState(int(device.Fd()))
	ts.Check(err)
	if fmt.Sprint(*before) != fmt.Sprint(*after) {
		ts.Fatalf("the terminal was not restored: %v, want %v", *after, *before)
	}
}

// screen is the text that a terminal shows.
type screen struct {
	mu    sync.Mutex
	shown bytes.Buffer
	seen  int // bytes up to the end of the last text that the session saw
}

func (s *screen) watch(master *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := master.Read(buffer)
		s.mu.Lock()
		s.shown.Write(buffer[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

func (s *screen) see(text string) bool {
	for retry := retryFor(rig.Patience); retry(); {
		shown := s.text()
		if at := strings.Index(shown[s.seen:], text); at >= 0 {
			s.seen += at + len(text)
			return true
		}
	}
	return false
}
