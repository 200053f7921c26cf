package watch

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Watch runs a command and restarts it when files change.
type Watch struct {
	// watched, and the command's working directory; default the current folder; may not exist yet
	Dir     string
	Command []string // program and arguments; the program is looked up in PATH

	Ext    []string       // only files with these extensions ("js", ".ts"); default all files
	Ignore []string       // .gitignore lines for Dir, which take precedence over everything else
	Delay  time.Duration  // quiet time that ends a burst of changes larger than a save; at least 0
	Poll   bool           // scan every second instead of waiting for events
	Signal syscall.Signal // asks the command to stop; default SIGTERM
	Grace  time.Duration  // between Signal and SIGKILL; at least 0

	Stdout, Stderr *os.File  // of the command; nil to discard
	Messages       io.Writer // for Run's messages in the format of package say
	// each line "rs" restarts the command; may be nil; read until the process ends
	Keyboard io.Reader

	notify func() (events, error) // default openEvents; for tests
}

// Run starts the command and blocks until a signal arrives or ctx ends, which counts as SIGTERM.
// The signal is passed on to the command's group; a second one kills the group at once. SIGQUIT is
// passed on but does not end Run.
//
// status is the exit status for this process: that of the last command, or 128 plus the signal's
// number if a signal ended it. If the command cannot be started the first time, Run returns an
// error and status 127 or 126, like a shell. Later, Run waits for the next change, as it does when
// the command exits.
func (w *Watch) Run(ctx context.Context, signals <-chan os.Signal) (status int, err error) {
	dir, err := filepath.Abs(cmp.Or(w.Dir, ".")) // keeps the links in the shell's current folder
	if err != nil {
		return 1, err
	}
	s := &runner{Watch: w, sensor: sensor{
		dir: dir, ignore: w.Ignore, ext: w.Ext, poll: w.Poll, messages: w.Messages, open: w.notify,
		burst: burst{delay: w.Delay},
	}}
	if w.notify == nil {
		s.open = openEvents
	}
	defer s.close()
	becomeSubreaper()
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.loop(ctx, signals, children, restarts(ctx, w.Keyboard))
}

// restarts returns a channel that receives a value for each line "rs".
func restarts(ctx context.Context, keyboard io.Reader) <-chan struct{} {
	if keyboard == nil {
		return nil
	}
	asked := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(keyboard); lines.Scan(); {
			if strings.TrimSpace(lines.Text()) != "rs" {
				continue
			}
			select {
			case asked <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return asked
}
