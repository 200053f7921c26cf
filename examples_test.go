package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestExamples pushes each folder of examples/ and requests its page. It skips those whose tools
// this machine lacks.
func TestExamples(t *testing.T) {
	skipRaced(t)
	t.Parallel()
	for _, example := range []struct {
		folder  string
		prepare string   // a line of the script
		tools   []string // command lines that succeed if its tools are there
		says    string   // regular expression for the output of the push
		page    string   // text on its page
	}{
		{"bun", "", []string{"bun --version", reached}, `bun install`, "says Bun"},
		{"deno", "", []string{"deno --version", reached}, `deno install`, "says Deno"},
		{"go", "gocache app", []string{"go version"}, `Building \(go\)`, "<h1>It is "},
		{"go-bin", "gocache app", []string{"go version"}, `worker is not running`, "The worker has worked: never"},
		{"go-plain", "gocache app", []string{"go version"}, `no go.mod: this build uses the standard library only`, "says Go"},
		{"node-pnpm", "", []string{"node --version", "pnpm --version", reached},
			`pnpm install`, "installed by pnpm"},
		{"node-uploads", "", []string{"node --version"}, `Keeping uploads across releases`, "welcome.txt"},
		{"node-yarn", "", []string{"node --version", "yarn --version", "sh -c 'yarn --version | grep -v ^1'", reached},
			`yarn install`, "installed by Yarn"},
		{"python", "", []string{"python3 -c 'import venv, ensurepip'"}, `Building \(python\)`, "says Python"},
	} {
		t.Run(example.folder, func(t *testing.T) {
			t.Parallel()
			for _, line := range example.tools {
				if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
					t.Skipf("SKIP: %s: %v\n%s", line, err, out)
				}
				tool, _, _ := strings.Cut(line, " ")
				if path, err := exec.LookPath(tool); err == nil && strings.HasPrefix(path, "/tmp/") {
					t.Skipf("SKIP: %s is in /tmp, which apps do not see; set XDG_CACHE_HOME", path)
				}
			}
			script := filepath.Join(t.TempDir(), "pushed.txtar")
			lines := fmt.Sprintf(strings.Join([]string{
				"serve",
				"exec cp -r $EXAMPLES/%s app",
				"exec rm -rf app/node_modules",
				example.prepare,
				"repo app",
				"exec git push paas main",
				"stderr '%s'",
				"get app 200 '%s'",
				"",
			}, "\n"), example.folder, example.says, example.page)
			if err := os.WriteFile(script, []byte(lines), 0o600); err != nil {
				t.Fatal(err)
			}
			params := scriptParams()
			params.Files = []string{script}
			testscript.Run(t, params)
		})
	}
}

// reached succeeds if npm reaches the registry it is configured for.
const reached = "npm ping --fetch-retries=0 --fetch-timeout=10000"
