package git

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"paas/subprocess"
)

// Command returns the command `git args...` in the repository. Its environment is built from
// nothing: it reads no configuration of the machine or a user. Run it with [subprocess.Run].
func (r Repo) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := subprocess.Command(ctx, "git", append(r.options(), args...)...)
	cmd.Dir = r.Dir
	cmd.Env = slices.Concat([]string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"HOME=/dev/null", // else git reads ~/.config/git/attributes despite the variables below
		"LC_ALL=C",       // we parse messages
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_NO_LAZY_FETCH=1",
	}, r.Quarantine.env(), r.Env)
	return cmd
}

// options returns the configuration for every git process; see git-config(1).
func (r Repo) options() []string {
	config := []string{
		"safe.directory=*", // we decide which repositories are used, and a path may contain links
		"core.hooksPath=" + cmp.Or(r.Hooks, "/dev/null"),
		"core.attributesFile=/dev/null",
		"core.autocrlf=false",
		// Sync every accepted object and reference before the pusher is told; by default git does
		// not sync loose objects. batch needs one flush per push and costs nothing measurable.
		"core.fsync=objects,derived-metadata,reference",
		"core.fsyncMethod=batch",
		"core.bigFileThreshold=32m", // larger files are streamed
		"transfer.fsckObjects=true",
		// harmless, and found in the history of old projects
		"receive.fsck.zeroPaddedFilemode=ignore",
		"receive.fsck.missingSpaceBeforeDate=ignore",
		"receive.fsck.badTimezone=ignore",
		"transfer.hideRefs=refs/paas",
		"receive.denyDeletes=true",
		"receive.advertisePushOptions=true",
		"receive.keepAlive=5",
		"receive.autogc=false",
		// An app that shares the volume could set these in the repository's own configuration to
		// run programs or write files here. This does not stop a determined attacker: smudge
		// filters cannot be disabled from here.
		"core.bare=true",
		"core.alternateRefsCommand=true",
		"core.fsmonitor=false",
		"core.sshCommand=false",
		"protocol.allow=never", // fetch nothing either for a repository that claims to be partial
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

// Error is a failed git command.
type Error struct {
	Command string // such as read-tree
	Message string // the line of stderr that gives the reason
	Err     error  // such as an exit status
	full    bool
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes a full disk match [syscall.ENOSPC].
func (e *Error) Is(target error) bool { return e.full && target == syscall.ENOSPC }

// run runs git and returns its output without the final newline.
func (r Repo) run(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := r.Command(ctx, append([]string{"--git-dir=" + r.Dir}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := subprocess.Run(cmd, nil)
	if err == nil {
		return strings.TrimSuffix(stdout.String(), "\n"), nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	text := stderr.String()
	return "", &Error{
		Command: args[0],
		Message: errorLine(text),
		Err:     err,
		full: strings.Contains(text, syscall.ENOSPC.Error()) ||
			strings.Contains(text, "No space left on device"),
	}
}

// errorLine returns the line that gives the reason: the last error or fatal line, since advice may
// follow it, else the last line.
func errorLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			return line
		}
	}
	return lines[len(lines)-1]
}
