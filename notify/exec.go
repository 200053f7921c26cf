package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"paas/say"
	"paas/subprocess"
)

const (
	execTimeout = time.Minute
	maxSaid     = 200  // lines of a program's output that go to the log
	maxSaidLine = 1000 // characters of each
)

// exec runs Exec with an environment built from nothing. What it prints goes to the log, and what
// it leaves running with its output still open is ended with it.
func (n Notifier) exec(ctx context.Context, v Version) error {
	ctx, cancel := context.WithTimeoutCause(ctx, execTimeout,
		fmt.Errorf("still running after %s", execTimeout))
	defer cancel()
	cmd := subprocess.Command(ctx, n.Exec)
	cmd.Env = []string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"HOME=" + os.Getenv("HOME"),
		"PAAS_APP=" + v.App, "PAAS_COMMIT=" + v.Commit, "PAAS_RELEASE=" + v.Release,
	}
	said := &lines{log: n.Log.With("app", v.App, "release", v.Release)}
	cmd.Stdout, cmd.Stderr = said, said
	err := subprocess.Run(cmd, nil)
	said.end()
	// it ended well, but somebody of its session has the output open
	if errors.Is(err, exec.ErrWaitDelay) {
		subprocess.Kill(cmd)
		err = nil
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// lines logs what is written to it, line by line. exec.Cmd writes from one goroutine where standard
// output and error are the same writer.
type lines struct {
	log     *slog.Logger
	count   int
	partial []byte
}

func (l *lines) Write(p []byte) (int, error) {
	for rest := p; ; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		l.partial = append(l.partial, line[:min(len(line), max(0, 4*maxSaidLine-len(l.partial)))]...)
		if !whole {
			return len(p), nil
		}
		l.end()
		rest = after
	}
}

// end logs the line that was begun.
func (l *lines) end() {
	defer func() { l.partial = l.partial[:0] }()
	if len(bytes.TrimSpace(l.partial)) == 0 {
		return
	}
	switch l.count++; {
	case l.count <= maxSaid:
		l.log.Info("exec says", "line", say.Plain(string(l.partial), maxSaidLine))
	case l.count == maxSaid+1:
		l.log.Info("exec says more, which is left out")
	}
}
