package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// outside NAME makes the bare repository outside/NAME.git and serves it to the project's containers
// as http://outside/NAME.git, from a container named $OUTSIDE. It adds the remote outside to the
// current repository. While there is a file outside/hold, requests wait.
func cmdOutside(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: outside NAME")
	}
	work := ts.Getenv("WORK")
	dir := filepath.Join(work, "outside")
	repo := filepath.Join(dir, args[0]+".git")
	ts.Check(ts.Exec("git", "init", "-q", "--bare", repo))
	ts.Check(ts.Exec("git", "remote", "add", "outside", repo))
	binary, err := outsideBinary()
	ts.Check(err)
	p := sessionOf(ts).project
	name := p.name + "_outside_1"
	ts.Setenv("OUTSIDE", name)
	ts.Check(ts.Exec("docker", "run", "-d", "--name", name, "--label", p.label(), "--user",
		fmt.Sprint(os.Getuid()),
		"--cap-add", "NET_BIND_SERVICE", "--network", p.name+"_default", "--network-alias", "outside",
		"-v", dir+":/srv:ro", "-v", binary+":/outside:ro", "--entrypoint", "/outside", "paas-git:"+tag))
}

// outsideBinary builds the git host's program once.
var outsideBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "outside")
	build := exec.Command("go", "build", "-o", path, "./outside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./outside: %v: %s", err, out)
	}
	return path, nil
})
