package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"paas/rig"
	"paas/signals"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the watcher, which reaps all its children, and the app that it runs.
func TestMain(m *testing.M) {
	if text := os.Getenv("TEST_WATCH"); text != "" {
		os.Unsetenv("TEST_WATCH")
		os.Exit(watchMain(text))
	}
	if len(os.Args) > 2 && os.Args[1] == "app" {
		os.Exit(appMain(os.Args[2:]))
	}
	signals.ResetForChildren() // also under nohup
	os.Exit(m.Run())
}

func watchMain(text string) int {
	var w Watch
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		panic(err)
	}
	w.Stdout, w.Stderr, w.Messages = os.Stdout, os.Stderr, os.Stderr
	if stat, err := os.Stdin.Stat(); err == nil && stat.Mode()&os.ModeNamedPipe != 0 {
		w.Keyboard = os.Stdin
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	status, err := w.Run(context.Background(), signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// appMain reports its life on standard output, one line per write. Its arguments make it difficult.
func appMain(args []string) int {
	say := func(what string) {
		fmt.Printf("%s %d %s\n", what, os.Getpid(),
			strings.ReplaceAll(os.Getenv(changedVariable), "\n", ","))
	}
	for _, arg := range args {
		what, value, _ := strings.Cut(arg, "=")
		switch what {
		case "exit": // exit with the status in the file, if there is one
			if text, err := os.ReadFile(value); err == nil && len(text) > 0 {
				say("up")
				return int(text[0] - '0')
			}
		case "stubborn":
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		case "port":
			ln, err := net.Listen("tcp", value)
			if err != nil {
				fmt.Println(err)
				return 9
			}
			defer ln.Close()
		case "child": // in the same group, and left behind
			cmd := exec.Command(os.Args[0], "app", value)
			cmd.Stdout = os.Stdout
			if err := cmd.Start(); err != nil {
				panic(err)
			}
		case "setsid": // a child in a session of its own
			cmd := exec.Command(os.Args[0], "app", value)
			cmd.Stdout = os.Stdout
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				panic(err)
			}
		case "daemon": // an orphan in a session of its own
			cmd := exec.Command("sh", "-c", `setsid "$0" app stubborn=1 & exit`, os.Args[0])
			cmd.Stdout = os.Stdout
			if err := cmd.Run(); err != nil {
				panic(err)
			}
		case "orphan": // a child whose parent is gone
			cmd := exec.Command("sh", "-c", `"$0" app stubborn=1 & exit`, os.Args[0])
			cmd.Stdout = os.Stdout
			if err := cmd.Run(); err != nil {
				panic(err)
			}
		}
	}
	linger := ""
	if what, value, _ := strings.Cut(args[0], "="); what == "linger" {
		linger = value
	}
	ended := make(chan os.Signal, 1)
	if args[0] != "stubborn=1" && args[0] != "stubborn" {
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	} else {
		signal.Notify(ended, syscall.SIGUSR1)
	}
	say("up")
	got := <-ended
	say("got-" + strings.ReplaceAll(got.String(), " ", "-"))
	for linger != "" { // until the file is there
		if _, err := os.Stat(linger); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}

// watcher is a running watcher.
type watcher struct {
	t        *testing.T
	dir      string
	cmd      *exec.Cmd
	out      string // file of what the app printed
	messages string // file of what the watcher said
	done     chan struct{}
}

func startWatch(t *testing.T, w Watch, app ...string) *watcher {
	t.Helper()
	dir := w.Dir
	if dir == "" {
		dir = t.TempDir()
		w.Dir = dir
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if w.Command == nil {
		w.Command = append([]string{self, "app"}, app...)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	logs := t.TempDir()
	r := &watcher{t: t, dir: dir, cmd: exec.Command(self), out: filepath.Join(logs, "out"),
		messages: filepath.Join(logs, "messages"), done: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "TEST_WATCH="+string(text), "GORACE=atexit_sleep_ms=0")
	for path, stream := range map[string]*io.Writer{r.out: &r.cmd.Stdout,
		r.messages: &r.cmd.Stderr} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		*stream = f
	}
	return r
}

func (r *watcher) run() *watcher {
	r.t.Helper()
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		r.cmd.Wait()
		close(r.done)
	}()
	r.t.Cleanup(func() {
		r.cmd.Process.Signal(syscall.SIGTERM)
		// not SIGTERM, because a second one may merge with the first
		r.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-r.done:
		case <-time.After(20 * time.Second):
			r.cmd.Process.Kill()
			<-r.done
		}
		if r.t.Failed() {
			r.t.Logf("app:\n%s\nwatcher:\n%s", read(r.out), read(r.messages))
		}
		if strings.Contains(read(r.messages), "DATA RACE") {
			r.t.Error("the watcher raced")
		}
	})
	return r
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// starts returns the pids of the apps that started, and what had changed.
func (r *watcher) starts() (pids []int, changed []string) {
	for line := range strings.Lines(read(r.out)) {
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		if f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3); f[0] == "up" {
			pid := 0
			fmt.Sscan(f[1], &pid)
			pids, changed = append(pids, pid), append(changed, f[2])
		}
	}
	return pids, changed
}

// awaitStarts waits until the app, with its children, has started n times. It returns the changes
// that the last one was told.
func (r *watcher) awaitStarts(n int) string {
	r.t.Helper()
	rig.Eventually(r.t, fmt.Sprint(n, " times up"), func() bool {
		pids, _ := r.starts()
		return len(pids) >= n
	})
	pids, changed := r.starts()
	if len(pids) > n {
		r.t.Fatalf("%d times up, not %d", len(pids), n)
	}
	return changed[n-1]
}

func (r *watcher) awaitMessage(text string) {
	r.t.Helper()
	rig.Eventually(r.t, text, func() bool { return strings.Contains(read(r.messages), text) })
}

func (r *watcher) put(path, text string) { write(r.t, r.dir, map[string]string{path: text}) }

// end sends signals and returns the exit status.
func (r *watcher) end(signals ...syscall.Signal) int {
	for _, s := range signals {
		r.cmd.Process.Signal(s)
	}
	<-r.done
	return r.cmd.ProcessState.ExitCode()
}

// hasExited reports whether a process has exited and was reaped.
func hasExited(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }
