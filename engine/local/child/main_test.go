package child

import (
	"fmt"
	"io"
	"maps"
	"os"
	"testing"
	"time"

	"paas/builder/cmdline"
	"paas/rig"
	"paas/signals"
)

// The test binary is also the guard, and a server to kill.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guard" {
		GuardMain(os.Stdin, os.Stdout, os.Args[2])
		return
	}
	if root := os.Getenv("TEST_SERVER_ROOT"); root != "" {
		serveUntilKilled(root)
		return
	}
	if os.Getenv("TEST_LISTEN") != "" {
		listenUntilKilled()
	}
	if os.Getenv("TEST_FIRST") != "" {
		os.Exit(beFirst())
	}
	signals.ResetForChildren() // also under nohup
	os.Exit(m.Run())
}

// newKeeper opens a keeper on a new root. It is closed at the end of the test and must leave no
// process.
func newKeeper(t *testing.T) *Keeper {
	t.Helper()
	k := &Keeper{Root: t.TempDir(), Self: rig.Self()}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if left := (processTree{mark: rootMark(k.Root)}).find(); len(left) > 0 {
			t.Errorf("processes left: %v", left)
		}
	})
	return k
}

// toRun returns the command for a shell line, with the given environment and PATH.
func toRun(line string, env map[string]string, out io.Writer) Command {
	all := map[string]string{"PATH": os.Getenv("PATH")}
	maps.Copy(all, env)
	return Command{
		Name: "blog.v7.worker.1",
		Argv: cmdline.Arguments(line),
		Dir:  "/",
		Env:  all,
		Out:  out,
	}
}

// begin starts a line, and stops it at the end of the test.
func begin(t *testing.T, k *Keeper, line string, env map[string]string, out io.Writer) *Child {
	t.Helper()
	c, err := k.Start(toRun(line, env, out))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(0) })
	return c
}

// wantEnd fails the test if the command, which is done, did not end as [Child.Err] says in want.
func wantEnd(t *testing.T, c *Child, want string) {
	t.Helper()
	if got := rig.Message(c.Err()); got != want {
		t.Errorf("the command ended with %q, want %q", got, want)
	}
}

// printed runs a line and returns its output.
func printed(t *testing.T, k *Keeper, line string, env map[string]string) string {
	t.Helper()
	out := &rig.Screen{}
	<-begin(t, k, line, env, out).Done()
	return out.String()
}

// escapes starts three children that leave session and parent and keep the output open.
const escapes = `for i in 1 2 3; do setsid sh -c 'echo gone; trap "" TERM; sleep 1000 & wait; sleep 1000' & done; `

// serveUntilKilled is a server with one app whose children have left their session and parent.
func serveUntilKilled(root string) {
	k := &Keeper{Root: root} // the guard is the binary that runs
	if err := k.Open(); err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range []string{escapes + "sleep 1000", "sleep 1000"} {
		if _, err := k.Start(toRun(line, nil, io.Discard)); err != nil {
			fmt.Println(err)
			return
		}
	}
	first := k.guard.cmd.Process.Pid
	fmt.Println("life", k.life, first)
	for { // a guard that is seen here has been told everything
		k.guard.mu.Lock()
		now := k.guard.cmd.Process.Pid
		k.guard.mu.Unlock()
		if now != first {
			fmt.Println("guard", now)
			select {}
		}
		time.Sleep(5 * time.Millisecond)
	}
}
