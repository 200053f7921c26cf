// Command paas turns a server into a git remote that runs what you push. This package is where the
// parts meet: it reads the settings, adapts each part to the next, and holds the one table of
// commands that the command line and SSH share.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"paas/command/cli"
	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/receiver"
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
	return cli.Execute(ctx, localRoot(args[1:]), os.Stderr)
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
