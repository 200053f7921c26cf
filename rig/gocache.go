package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// GoCache returns a build cache of Go with the standard library compiled as the builder does it. It
// stays in paas-test/ of the user's cache folder, because compiling takes half a minute.
var GoCache = sync.OnceValues(func() (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(caches, "paas-test", runtime.Version())
	cmd := exec.Command("go", "build", "-trimpath", "net/http", "html/template")
	cmd.Env = append(os.Environ(), "GOCACHE="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w: %s", cmd.Args, err, out)
	}
	return dir, nil
})
