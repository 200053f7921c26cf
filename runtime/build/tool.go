package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"paas/runtime/child"
	"paas/say"
)

// installs is what to do about a missing tool.
var installs = map[string]string{
	"node":    "install Node.js (https://nodejs.org, or the package nodejs)",
	"npm":     "install npm (it comes with https://nodejs.org, or the package npm)",
	"go":      "install Go (https://go.dev/dl, or the package golang)",
	"python3": "install Python 3 (the packages python3 and python3-venv)",
}

// program is a tool's file as it was when its version was asked.
type program struct {
	path    string
	size    int64
	changed int64 // nanoseconds
}

// versions are what tools said of themselves.
type versions struct {
	mu    sync.Mutex
	known map[program]string
}

// version is what `path --version` prints, remembered while the file stays the same: asking node
// costs 40 ms. A script is asked each time, as it may be a version manager's that looks around.
func (b *Builder) version(ctx context.Context, env map[string]string, dir, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	key := program{path, info.Size(), info.ModTime().UnixNano()}
	b.versions.mu.Lock()
	known, ok := b.versions.known[key]
	b.versions.mu.Unlock()
	if ok {
		return known, nil
	}
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 1<<10, 1)
	if err := b.Keeper.Run(ctx, child.Command{Argv: []string{path, "--version"}, Dir: dir, Env: env, Out: bounded}); err != nil {
		return "", fmt.Errorf("%s --version: %w", filepath.Base(path), err)
	}
	version := strings.TrimSpace(out.String())
	if !isScript(path) {
		b.versions.mu.Lock()
		if b.versions.known == nil {
			b.versions.known = map[program]string{}
		}
		b.versions.known[key] = version
		b.versions.mu.Unlock()
	}
	return version, nil
}

func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	start := make([]byte, 2)
	_, err = io.ReadFull(f, start)
	return err != nil || string(start) == "#!"
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
