package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// repo DIR [FROM] makes DIR a git repository, commits everything in it, adds the remote paas and
// changes to DIR. It first copies the folder FROM into DIR, or testdata/hello if there is no DIR.
func cmdRepo(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	from := filepath.Join(ts.Getenv("REPO"), "lab", "acceptance", "testdata", "hello")
	if len(args) == 2 {
		from = ts.MkAbs(args[1])
	}
	if _, err := os.Stat(dir); err != nil || len(args) == 2 {
		ts.Check(os.CopyFS(dir, os.DirFS(from)))
	}
	for _, a := range [][]string{
		{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "one"},
		{"remote", "add", "paas", ts.Getenv("REMOTE") + "/" + filepath.Base(dir)},
	} {
		ts.Check(ts.Exec("git", append([]string{"-C", dir}, a...)...))
	}
	ts.Check(ts.Chdir(args[0]))
}

// commit FILE TEXT replaces a file of the current repository and commits all changes.
func cmdCommit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commit FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o644))
	ts.Check(ts.Exec("git", "add", "-A"))
	ts.Check(ts.Exec("git", "commit", "-q", "-m", "change "+args[0]))
}

// until REGEXP PROGRAM [ARG...] runs the program repeatedly until its output matches.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM [ARG...]")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if out, _ = run(ts, args[1], args[2:]...); want.Match(out) {
			return
		}
	}
	ts.Fatalf("still no %q in %s", args[0], out)
}

// healthy SERVICE... waits until the health check of each service succeeds. It runs the check
// itself, because the engine runs it rarely.
func cmdHealthy(ts *testscript.TestScript, neg bool, args []string) {
	for _, service := range args {
		var out []byte
		var err error
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if out, err = run(ts, "docker-compose", "--profile", "external", "exec", "-T", service, "paas",
				"health", service); err == nil {
				break
			}
		}
		if err != nil {
			ts.Fatalf("%s is still not healthy: %s", service, out)
		}
	}
}

// run runs the program with the session's environment, and returns its output.
func run(ts *testscript.TestScript, program string, args ...string) ([]byte, error) {
	// env finds the program in the session's PATH.
	cmd := exec.Command("env", append([]string{program}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range slices.Concat(own, inherited) {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd.CombinedOutput()
}
