//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// oneFile is the smallest possible app. Its short boot hides less of the cost of a deploy than that
// of the example.
const oneFile = `const page = "Hello.";
require("http").createServer((_, res) => res.end(page)).listen(process.env.PORT);
`

// measureOneFile is measurePush for that app.
func measureOneFile(ctx context.Context, o options, c *client) (*oneFileResult, error) {
	app := filepath.Join(c.dir, "one-file-app")
	if err := os.Mkdir(app, 0o755); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{"server.js": oneFile,
		"Procfile": "web: node server.js\n"} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	person := filepath.Join(c.dir, "one-file")
	if err := os.Mkdir(person, 0o711); err != nil {
		return nil, err
	}
	author, err := newClient(ctx, person, app)
	if err != nil {
		return nil, err
	}
	author.page = "server.js"
	author.line = func(mark string) string { return fmt.Sprintf("const page = %q;", mark) }
	pushes, err := pushBeside(ctx, o, author, app)
	return &oneFileResult{pushes}, err
}

type oneFileResult struct{ *pushResult }

func (r *oneFileResult) rows(print row) { r.pushResult.named("one file: ", print) }
