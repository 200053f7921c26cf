// Command paas turns a server into a git remote that runs what you push. This package connects the
// parts: it reads the settings and adapts each part to the next.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"paas/command/cli"
	"paas/engine/local"
	"paas/engine/local/child"
	"paas/receiver"
	"paas/signals"
)

// The first thread is reserved for main, because /proc and Landlock take it for the whole process.
// The server starts each app from a thread on which it enters the app's confinement. If that were
// the first thread, the app could read the server's environment and memory as if they were its own.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run(os.Args)) }

// run is main without os.Exit, for tests.
func run(args []string) int {
	// git runs its hooks by name, as links to this binary. They skip the server's set-up, which would
	// only slow down a push.
	if hook := filepath.Base(args[0]); receiver.IsHook(hook) {
		return receiver.Hook(hook, os.Stdin, os.Stdout, os.Environ()...)
	}
	signals.Unblock()
	if local.Helper(args) {
		return 0
	}
	if os.Getpid() == 1 {
		return child.First(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals.Ending()...)
	defer stop()
	signals.ResetForChildren()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	return cli.Execute(ctx, localRoot(args[1:]), os.Stderr)
}

// buildVersion returns the module's version, or the commit that the binary was built from.
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
