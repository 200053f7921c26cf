package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"paas/builder/cmdline"
	"paas/engine/local/child"
	"paas/say"
)

// tool is a program that must be on the server.
type tool struct {
	name    string
	install string   // what to do where it is missing, or another version: "install Go (https://go.dev/dl, ...)"
	ask     []string // arguments by which it says its version; default --version
	wishes  []wish   // versions that the repository asks for

	env map[string]string // of all its commands
}

// needTools says what is missing on this server, and what is there in another version than the
// repository asks for: all of it, before anything runs.
func (b *build) needTools(ctx context.Context) error {
	var wrong []error
	said := map[string]bool{}
	for _, p := range b.plan.projects {
		for _, t := range p.tools(b.plan) {
			if _, err := cmdline.LookPath(t.name, b.env["PATH"], b.job.Tree); err != nil {
				if !said[t.name] {
					wrong = append(wrong, fmt.Errorf("%s is not on this server: %s", t.name, t.install))
				}
				said[t.name] = true
				continue
			}
			for _, w := range t.wishes {
				if err := b.grant(ctx, t, w); err != nil {
					wrong = append(wrong, err)
				}
			}
		}
	}
	return errors.Join(wrong...)
}

// grant says what is wrong where the server's version of t is not what w asks for. It never runs
// another one without a word.
func (b *build) grant(ctx context.Context, t tool, w wish) error {
	said, err := b.toolVersion(ctx, cmdline.With(b.env, t.env), t.name, t.ask...)
	if err != nil {
		return fmt.Errorf("%s %s is asked for by %s: %w", t.name, w.asked, w.by, err)
	}
	return b.compare(t, w, said)
}

// compare is grant where it is known what the tool says of itself.
func (b *build) compare(t tool, w wish, said string) error {
	version, err := parseVersion(said)
	if err != nil {
		return fmt.Errorf("%s %s is asked for by %s, and this server's says of itself %.80q: %w", t.name, w.asked, w.by, said, err)
	}
	switch fits, near := w.fits(version); {
	case !fits:
		return fmt.Errorf("%s %s is asked for by %s, and this server has %s: %s in that version, or change %s",
			t.name, w.asked, w.by, version.Original(), t.install, w.by)
	case near:
		b.notes = append(b.notes, fmt.Sprintf("%s %s is what this server has; %s asks for %s", t.name, version.Original(), w.by, w.asked))
	}
	return nil
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

// toolVersion is what a program on PATH says to the given arguments, --version where there are none.
func (b *build) toolVersion(ctx context.Context, env map[string]string, name string, ask ...string) (string, error) {
	path, err := cmdline.LookPath(name, env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	return b.version(ctx, env, b.job.Tree, path, ask...)
}

// version is what `path --version` prints, remembered while the file stays the same: asking node
// costs 40 ms. A script is asked each time, as it may be a version manager's that looks around, unless
// it lies in an npm package, which says its version: npm itself takes 100 ms and more.
func (b *build) version(ctx context.Context, env map[string]string, dir, path string, ask ...string) (string, error) {
	if len(ask) == 0 {
		ask = []string{"--version"}
	}
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
	script := isScript(path)
	if version := packagedVersion(path); script && version != "" {
		return version, nil
	}
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 1<<10, 1)
	c := child.Command{
		Argv: append([]string{path}, ask...), Dir: dir, Env: env, Out: bounded, Under: b.job.Under, Background: true,
	}
	if err := b.Keeper.Run(ctx, c); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(ask, " "), err, say.Plain(first, 200))
	}
	version := strings.TrimSpace(out.String())
	if !script {
		b.versions.mu.Lock()
		if b.versions.known == nil {
			b.versions.known = map[program]string{}
		}
		b.versions.known[key] = version
		b.versions.mu.Unlock()
	}
	return version, nil
}

// packagedVersion is that of the npm package which path, as .../npm/bin/npm-cli.js, is a program of; empty:
// it is not.
func packagedVersion(path string) string {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	for _, folder := range []string{filepath.Dir(file), filepath.Dir(filepath.Dir(file))} {
		var about struct {
			Version string
			Bin     map[string]string
		}
		content, err := readFile(filepath.Join(folder, "package.json"), 1<<20)
		if err == nil && json.Unmarshal(content, &about) == nil && about.Bin[filepath.Base(path)] != "" && about.Bin["corepack"] == "" {
			return about.Version
		}
	}
	return ""
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
