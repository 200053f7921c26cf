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

// Watch runs a command, and restarts it when files change.
type Watch struct {
	Dir     string   // what is watched, and where the command runs; default: the current folder. May not be there yet
	Command []string // program and arguments; the program is looked up as a shell would

	Ext    []string       // only files with these extensions ("js", ".ts"); none: every file
	Ignore []string       // lines as of a .gitignore in Dir, which go before everything else
	Delay  time.Duration  // of quiet that ends a burst of changes larger than a save; at least 0
	Poll   bool           // look each second, do not wait for events
	Signal syscall.Signal // asks the command to stop; 0 is SIGTERM
	Grace  time.Duration  // from then to SIGKILL; at least 0

	Stdout, Stderr *os.File  // the command's; nil: nowhere
	Messages       io.Writer // what Run has to say, in the form of package say
	Keyboard       io.Reader // each line "rs" is a restart; nil: none. Read until the process ends

	notify func() (events, error) // nil: openEvents; tests have others
}

// Run starts the command and blocks until one of signals says that all is to end: it is passed on
// to the command's group, and a second one kills that at once. SIGQUIT is passed on and ends nothing
// here. ctx that ends is SIGTERM. status is
// the exit status for this process: that of the command as it ended last, or 128 and the signal's
// number where a signal ended it. An error is a command that could not be started the first time;
// status is then 127 or 126, as of a shell. Later that waits for the next change, as does a
// command that ends by itself.
func (w *Watch) Run(ctx context.Context, signals <-chan os.Signal) (status int, err error) {
	dir, err := filepath.Abs(cmp.Or(w.Dir, ".")) // with the links by which a shell got here
	if err != nil {
		return 1, err
	}
	s := &session{Watch: w, sensor: sensor{
		dir: dir, ignore: w.Ignore, ext: w.Ext, poll: w.Poll, messages: w.Messages, open: w.notify,
		burst: burst{delay: w.Delay},
	}}
	if w.notify == nil {
		s.open = openEvents
	}
	defer s.close()
	adopt()
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.loop(ctx, signals, children, restarts(ctx, w.Keyboard))
}

// restarts has one value for each line that asks for a restart.
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
