// Command paas turns a server into a git remote that runs what you push. This package is where the
// parts meet: it reads the settings, adapts each part to the next, and holds the one table of
// commands that the command line and SSH share.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/receiver"
	"paas/say"
	"paas/sshd"
)

// The first thread is main's alone, for good: it stands for the whole process in /proc and to Landlock. An app is
// put under what confines it on a thread of the server's; were that the first one, the app could read the
// environment and the memory of the server as if they were its own.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run(os.Args)) }

// run is main without the exit, for tests.
func run(args []string) int {
	// git runs its hooks by their names, which are links to this binary. Nothing that a server needs
	// is set up for them: they are in the way of a push.
	if hook := filepath.Base(args[0]); receiver.IsHook(hook) {
		return receiver.Hook(hook, os.Stdin, os.Stdout, os.Environ()...)
	}
	unblockSignals()
	if len(args) == 3 && args[1] == "guard" {
		child.GuardMain(os.Stdin, os.Stdout, args[2])
		return 0
	}
	if confine.Helper(args) {
		return 0
	}
	if os.Getpid() == 1 {
		return child.First(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ending()...)
	defer stop()
	resetForChildren()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	root := newRoot()
	root.SetArgs(args[1:])
	return status(root.ExecuteContext(ctx), os.Stderr)
}

// usageError is wrong use of a command: exit status 2.
type usageError struct{ error }

// silentError has said what there is to say: exit status 1 and no more words.
type silentError struct{ error }

// status prints what went wrong, if anything did, and gives the exit status for it.
func status(err error, stderr io.Writer) int {
	var usage usageError
	var silent silentError
	var exit exitStatus
	var ended endedWith
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &silent):
		return 1
	case errors.Is(err, sshd.ErrUnread): // as SIGPIPE ends a program: without a word
		return 128 + int(syscall.SIGPIPE)
	case errors.Is(err, context.Canceled):
		say.Fault(stderr, "interrupted")
		return 130
	}
	say.Fault(stderr, "%v", err)
	switch {
	case errors.As(err, &usage):
		return 2
	case errors.As(err, &ended):
		return ended.status
	}
	return 1
}

// buildVersion is the module's version, or the commit the binary was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if revision != "" {
		return revision + modified
	}
	return "built without version control"
}
