package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/say"
)

// sourceScript saves its environment, reads the given files into the shell, recording the name of
// each in "at", and saves the environment again. It is fixed text.
const sourceScript = `env -0 >"$1/before" || exit
paas_into=$1
shift
for paas_file do
	printf %s "${paas_file##*/}" >"$paas_into/at"
	. "$paas_file"
done >&2
env -0 >"$paas_into/after"
`

// sourceScripts has a shell read files and returns the variables of env that they change. The shell
// is bash if there is one, as buildpacks are written for it.
func (b *build) sourceScripts(
	ctx context.Context, env map[string]string, files ...string,
) (map[string]string, error) {
	into, err := os.MkdirTemp(b.cache("home"), "environment-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(into)
	shell := "bash"
	if _, err := cmdline.LookPath(shell, env["PATH"], b.job.Tree); err != nil {
		shell = "/bin/sh"
	}
	var out bytes.Buffer
	argv := append([]string{shell, "-c", sourceScript, "sh", into}, files...)
	err = b.runTo(ctx, say.NewBounded(&out, 4<<10, 1), "environment", env, argv...)
	before, readErr := b.readEnvironment(filepath.Join(into, "before"))
	after, endErr := b.readEnvironment(filepath.Join(into, "after"))
	if err == nil && endErr != nil {
		err = errors.New("the script calls exit")
	}
	if err = errors.Join(err, readErr); err != nil {
		at, _ := readFile(filepath.Join(into, "at"), 4<<10)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", say.Plain(string(at), 100), err,
			say.Plain(lines[len(lines)-1], 200))
	}
	for name, value := range before {
		if after[name] == value {
			delete(after, name)
		}
	}
	return after, nil
}

const maxEnvironment = 256 << 10 // bytes

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// notKept matches variables that belong to the shell or the server.
	notKept = regexp.MustCompile(`^(_|PWD|OLDPWD|SHLVL|HOME|PORT|DATA_DIR|PAAS_.*)$`)
)

// readEnvironment reads the output of env -0 without the variables that are not kept.
func (b *build) readEnvironment(file string) (map[string]string, error) {
	content, err := readFile(file, maxEnvironment)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, pair := range strings.Split(b.job.View.Outside(string(content)), "\x00") {
		name, value, _ := strings.Cut(pair, "=")
		// bash exports functions under odd names
		if variable.MatchString(name) && !notKept.MatchString(name) {
			env[name] = value
		}
	}
	return env, nil
}

// inFront returns the folders of path that are not in base, each once.
func inFront(path, base string) string {
	known := filepath.SplitList(base)
	var front []string
	for _, dir := range filepath.SplitList(path) {
		if dir != "" && !slices.Contains(known, dir) {
			known, front = append(known, dir), append(front, dir)
		}
	}
	return strings.Join(front, ":")
}
