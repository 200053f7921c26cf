package builder

import (
	"context"
	"os"
)

// language recognises the apps written in one language. Each language has a file of its own.
type language struct {
	// its name, and the kind of an app whose web process it provides
	kind   string
	detect func(root *os.Root) (project, error) // a nil project: not in this tree
}

// project is what a language found in a tree.
type project interface {
	// tools returns the programs that the build and the app need on this server.
	tools(p *plan) []tool

	// build installs dependencies and compiles. It begins with [build.step], unless there is
	// nothing to do.
	build(ctx context.Context, b *build) error

	// web returns the command line of the web process for an app without a Procfile, or "" if this
	// project has none. An error says what to add to the repository.
	web(root *os.Root) (string, error)
}

// siteMaker is a project whose build may make a folder of static files to serve instead of running
// a process.
type siteMaker interface {
	makesSite() bool
	site(root *os.Root) (folder string, err error) // after the build
}

// languages are all languages, in the order in which they build and are asked for a web process.
// The first one's kind is the app's.
//
// The three that run JavaScript come first: apps of other languages often have them make scripts
// and styles, which Go may embed. A start script makes such a repository a Node app.
var languages = []language{deno, bun, node, golang, python, ruby, php, java, rust, dotnet}
