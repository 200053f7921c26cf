package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"paas/builder/cmdline"
)

// tool is a program that must be on the server.
type tool struct {
	name        string
	install     string        // how to install it: "Go (https://go.dev/dl, ...)"
	versionArgs []string      // arguments that make it print its version; default --version
	requires    []requirement // versions that the repository requires

	env map[string]string // for all its commands

	// others lists the paths of more installations of the tool, the best first; nil: there are none.
	others func(ctx context.Context, b *build) []string

	// fetchesItself arranges that the tool itself fetches the version that it should have, and
	// returns that version; empty: it cannot. nil: no version can.
	fetchesItself func(ctx context.Context, b *build) (version string)
}

// checkTool checks the server's program. It returns notes on requirements that are met nearly, and
// an error if the server has none or one of the wrong version.
func (b *build) checkTool(ctx context.Context, t tool) (notes []string, err error) {
	if _, err := cmdline.LookPath(t.name, b.env["PATH"], b.job.Tree); err != nil {
		return nil, fmt.Errorf("%s is not on this server: install %s", t.name, t.install)
	}
	var wrong []error
	for _, r := range t.requires {
		printed, err := b.toolVersion(ctx, cmdline.With(b.env, t.env), t.name, t.versionArgs...)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s asks for %s %s: %w", r.source, t.name, r.text, err))
			continue
		}
		note, err := t.check(r, printed)
		if err != nil {
			wrong = append(wrong, err)
		} else if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, errors.Join(wrong...)
}

// check checks the version that the server's tool printed. note is for a requirement that is met
// nearly.
func (t tool) check(r requirement, printed string) (note string, err error) {
	asks := fmt.Sprintf("%s asks for %s %s, but this server", r.source, t.name, r.text)
	version, err := parseVersion(printed)
	if err != nil {
		return "", fmt.Errorf("%s's prints %.80q: %w", asks, printed, err)
	}
	switch fits, near := r.fits(version); {
	case !fits:
		return "", fmt.Errorf("%s has %s: install %s in that version, or change %s",
			asks, version.Original(), t.install, r.source)
	case near:
		return fmt.Sprintf("%s has %s", asks, version.Original()), nil
	}
	return "", nil
}

// program identifies the file of a tool whose version is known.
type program struct {
	path    string
	size    int64
	changed int64 // modification time in nanoseconds
}

// toolVersion returns what a program on PATH prints if run with args, or with --version if there
// are none. It runs node, which takes 40 ms, only if its file has changed. It runs a script each
// time: it may belong to a version manager that looks at the tree. But if the script lies in an npm
// package, the version comes from its package.json: npm takes more than 100 ms.
func (b *build) toolVersion(
	ctx context.Context, env map[string]string, name string, args ...string,
) (string, error) {
	path, err := cmdline.LookPath(name, env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	if len(args) == 0 {
		args = []string{"--version"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	key := program{path, info.Size(), info.ModTime().UnixNano()}
	if known, ok := b.versions.Load(key); ok {
		return known.(string), nil
	}
	script := isScript(path)
	if version := packagedVersion(path); script && version != "" {
		return version, nil
	}
	version, err := b.capture(ctx, b.job.Tree, env, append([]string{path}, args...)...)
	if err != nil {
		return "", err
	}
	if !script {
		b.versions.Store(key, version)
	}
	return version, nil
}

// packagedVersion returns the version of the npm package that path is a program of, such as
// .../npm/bin/npm-cli.js, or "".
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
		if err != nil || json.Unmarshal(content, &about) != nil {
			continue
		}
		if about.Bin[filepath.Base(path)] != "" && about.Bin["corepack"] == "" {
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
