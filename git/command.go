package git

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command is `git args...` in the repository, not started. Its environment is built from nothing:
// no configuration of the machine or of a user is read. It runs in a session of its own, which is
// killed as a whole when ctx ends; Wait returns at most 2 s after git itself has ended.
func (r Repo) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append(r.options(), args...)...)
	cmd.Dir = r.Dir
	cmd.Env = slices.Concat([]string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"HOME=/dev/null", // else ~/.config/git/attributes is read, whatever the variables below say
		"LC_ALL=C",       // messages are looked into
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_NO_LAZY_FETCH=1",
	}, r.Quarantine.env(), r.Env)
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// options are the configuration every git process runs with; see git-config(1).
func (r Repo) options() []string {
	config := []string{
		"safe.directory=*", // which repository is ours to decide, and it may be reached by a link
		"core.hooksPath=" + cmp.Or(r.Hooks, "/dev/null"),
		"core.attributesFile=/dev/null",
		"core.autocrlf=false",
		// Every accepted object and reference is on disk before the pusher hears of it; by default
		// loose objects are not. Batch: one flush a push, measured as fast as none.
		"core.fsync=objects,derived-metadata,reference",
		"core.fsyncMethod=batch",
		"core.bigFileThreshold=32m", // larger files are streamed, not held in memory
		"transfer.fsckObjects=true",
		"receive.fsck.zeroPaddedFilemode=ignore", // harmless, and in the history of old projects
		"receive.fsck.missingSpaceBeforeDate=ignore",
		"receive.fsck.badTimezone=ignore",
		"transfer.hideRefs=refs/paas",
		"receive.denyDeletes=true",
		"receive.advertisePushOptions=true",
		"receive.keepAlive=5",
		"receive.autogc=false",
		// An app that shares the volume could write these into the repository's own configuration, to
		// have programs run or files written here. It stops that, not one who is set on it: smudge filters
		// cannot be switched off from here.
		"core.bare=true",
		"core.alternateRefsCommand=true",
		"core.fsmonitor=false",
		"core.sshCommand=false",
		"protocol.allow=never", // nor is anything fetched for a repository that calls itself partial
		"receive.denyCurrentBranch=refuse",
	}
	if r.MaxPush > 0 {
		config = append(config, "receive.maxInputSize="+strconv.FormatInt(r.MaxPush, 10))
	}
	options := make([]string, 0, 2*len(config))
	for _, c := range config {
		options = append(options, "-c", c)
	}
	return options
}

// Run starts cmd and waits for it. started, if not nil, is called in between.
func Run(cmd *exec.Cmd, started func()) error {
	// A parent-death signal comes when the thread that started the child ends, not the process
	// (prctl(2)); a goroutine somewhere else that locks its thread and returns would end it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	if started != nil {
		started()
	}
	return cmd.Wait()
}

// Error is a git command that went wrong.
type Error struct {
	Command string // "read-tree"
	Said    string // the line of its standard error that says why
	Err     error  // how it ended
	full    bool
}

func (e *Error) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Said)
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes a command that ran out of disk space match [syscall.ENOSPC].
func (e *Error) Is(target error) bool { return e.full && target == syscall.ENOSPC }

// run runs a short command and returns what it printed, without the final newline.
func (r Repo) run(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := r.Command(ctx, append([]string{"--git-dir=" + r.Dir}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := Run(cmd, nil)
	if err == nil {
		return strings.TrimSuffix(stdout.String(), "\n"), nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	said := stderr.String()
	return "", &Error{
		Command: args[0],
		Said:    reason(said),
		Err:     err,
		full:    strings.Contains(said, syscall.ENOSPC.Error()) || strings.Contains(said, "No space left on device"),
	}
}

// reason is the line of what git printed that says why it failed: the last that says so itself, since
// advice may follow it, or else the last.
func reason(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}
