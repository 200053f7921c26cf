//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// oneFile is the smallest app there is: its boot hides less of what a deploy costs than the example's.
const oneFile = `const page = "Hello.";
require("http").createServer((_, res) => res.end(page)).listen(process.env.PORT);
`

// measureOneFile is measurePush for that app, on systems of its own.
func measureOneFile(ctx context.Context, o options, dir string) (*pushResult, error) {
	app := filepath.Join(dir, "one-file-app")
	if err := os.Mkdir(app, 0o755); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{"server.js": oneFile, "Procfile": "web: node server.js\n"} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	person := filepath.Join(dir, "one-file")
	if err := os.Mkdir(person, 0o711); err != nil {
		return nil, err
	}
	c, err := newClient(ctx, person, app)
	if err != nil {
		return nil, err
	}
	c.page = "server.js"
	c.line = func(mark string) string { return fmt.Sprintf("const page = %q;", mark) }
	o.Example = app
	var res *pushResult
	err = besides(ctx, o, c, func(ours, floor target, naive *naive) (err error) {
		res, err = measurePush(ctx, o.Pushes, c, ours, floor, naive)
		return err
	})
	return res, err
}
