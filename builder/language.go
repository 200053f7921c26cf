package builder

import (
	"context"
	"os"
)

// language is one that apps are written in. Each is a value in a file of its own.
type language struct {
	kind   string                               // what people call it; the kind of an app whose web process is its
	detect func(root *os.Root) (project, error) // nil: the tree has nothing of this language
}

// project is what a language found in a tree.
type project interface {
	// tools are the programs that building p, and running what is built, need on this server.
	tools(p *plan) []tool

	// build installs what the project depends on and compiles it: a [build.step] and what runs below
	// it, or nothing where there is nothing to do.
	build(ctx context.Context, b *build) error

	// web is the command line of the web process, for an app without a Procfile. Empty: this project
	// has none, perhaps another language's does. An error says what to add to the repository.
	web(root *os.Root) (string, error)
}

// siteMaker is a project whose build may leave a folder of files to serve in place of a process.
type siteMaker interface {
	makesSite() bool
	site(root *os.Root) (folder string, err error) // after the build
}

// languages are those that are known, in the order in which a tree's projects are built, and asked
// for a web process. The first kind names the app.
//
// What runs JavaScript comes first, one of the three: many an app of another language has its scripts
// and styles made by it, and Go may embed them. With a start script, such a repository is an app of Node.
var languages = []language{deno, bun, node, golang, python, ruby, php, java, rust, dotnet}
