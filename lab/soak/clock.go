//go:build linux

package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

// The soak must not set the machine's clock. Instead it builds the server with a changed standard
// library (go build -overlay), whose time.Now adds the number in a file. The wall clock then jumps
// as if somebody set the date, while the monotonic clock, which timers use, goes on. Programs that
// the soak does not build keep the machine's time: git, the apps, and the kernel's file times.

//go:embed clock/clock.go.txt
var clockSource []byte

// The change to the standard library.
const (
	nowBefore = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n		return Time{"
	nowAfter  = "	sec, nsec, mono := runtimeNow()\n	if SoakAhead != nil {\n		sec += *SoakAhead\n	}\n	if mono == 0 {\n		return Time{"
	nowMore   = "\n// SoakAhead is how far the clock is ahead, in seconds, for a test.\nvar SoakAhead *int64\n"
)

// build builds the server into dir from the sources in the current folder. The overlay is kept in
// bin/, because Go's build cache depends on its path.
func build(ctx context.Context, dir string, race bool) (binary string, c *clock, err error) {
	overlay, clockErr := overlay(ctx, filepath.Join("bin", "soak-clock"))
	binary = filepath.Join(dir, "paas")
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", binary}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if race {
		args, env = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	if clockErr == nil {
		args = append(args, "-overlay", overlay)
		if c, err = openClock(filepath.Join(dir, "clock")); err != nil {
			return "", nil, err
		}
	} else {
		progress(" !     skipped: moving the clock: %v", clockErr)
	}
	_, err = proc.Output(proc.Command(ctx, env, "go", append(args, ".")...))
	return binary, c, err
}

// overlay writes the changed sources and returns the file for -overlay.
func overlay(ctx context.Context, dir string) (path string, err error) {
	goroot, err := proc.Output(proc.Command(ctx, os.Environ(), "go", "env", "GOROOT"))
	if err != nil {
		return "", err
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(source), nowBefore, nowAfter, 1)
	if changed == string(source) {
		return "", errors.New("time.Now of this version of Go is not the one that is known here")
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(here, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	timeFile, mainFile, path := filepath.Join(dir, "time.go.txt"), filepath.Join(dir,
		"main.go.txt"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: timeFile,
		filepath.Join(here, "soak_clock.go"): mainFile}})
	return path, errors.Join(err, os.WriteFile(timeFile, []byte(changed+nowMore), 0o644),
		os.WriteFile(mainFile, clockSource, 0o644), os.WriteFile(path, text, 0o644))
}

// clock is the server's offset from the machine's clock.
type clock struct {
	file  *os.File
	ahead time.Duration
}

func openClock(path string) (*clock, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	c := &clock{file: f}
	return c, c.forward(0)
}

// forward moves the clock forward, for running processes and later ones.
func (c *clock) forward(by time.Duration) error {
	c.ahead += by
	var page [8]byte
	binary.NativeEndian.PutUint64(page[:], uint64(c.ahead/time.Second))
	if _, err := c.file.WriteAt(page[:], 0); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	return nil
}
