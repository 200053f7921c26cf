package local

import (
	"io"
	"os"
	"testing"

	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/rig"
	"paas/runtime"
)

// The test binary plays the paas binary too: the guard.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guard" {
		child.GuardMain(os.Stdin, os.Stdout, os.Args[2])
		return
	}
	if confine.Helper(os.Args) {
		return
	}
	if os.Getenv("TEST_SERVE") != "" {
		serveHere()
	}
	os.Exit(m.Run())
}

// All of it for a server that is an ordinary user, whose apps are in sandboxes, where there can be such.
func TestNotRoot(t *testing.T) { rig.AsNobody(t, "^Test[^N]") }

// newLocal is an engine on a root of its own, closed at the end.
func newLocal(t *testing.T) *Local {
	t.Helper()
	l := &Local{Root: t.TempDir(), Self: rig.Self()}
	if os.Getuid() != 0 { // see TestNotRoot
		l.Confined.Force = confine.Probe(t.TempDir(), l.Self...)
	}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// begin starts one process of the given command line, stopped at the end.
func begin(t *testing.T, l *Local, spec runtime.Spec, line string) runtime.Process {
	t.Helper()
	if spec.Type == "" {
		spec.Type = "worker"
	}
	if spec.Tree == "" {
		spec.Tree = t.TempDir()
	}
	if spec.Out == nil {
		spec.Out = io.Discard
	}
	spec.App, spec.Release, spec.Index = "blog", 7, 1
	spec.Built.Processes = map[string]string{spec.Type: line}
	p, err := l.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

// printed runs line to its end and returns what it printed.
func printed(t *testing.T, l *Local, spec runtime.Spec, line string) string {
	t.Helper()
	out := &rig.Screen{}
	spec.Out = out
	<-begin(t, l, spec, line).Done()
	return out.String()
}
