package builder

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"paas/builder/cmdline"
	"paas/say"
)

// binFolder is where compiled programs go. It is the last folder in the PATH of processes: a
// program called like a command of the system does not replace it.
const binFolder = ".paas/bin"

// appProgram is the path of a compiled app's one program if there is no Procfile.
const appProgram = binFolder + "/app"

// output makes a folder in .paas, where compiled programs go, and returns its path. It first
// removes a .paas of the commit, which may be a link that leads out of the tree.
func (b *build) output(name string) (string, error) {
	if !b.hasOutput {
		if err := b.tree.RemoveAll(".paas"); err != nil {
			return "", err
		}
		b.hasOutput = true
	}
	if err := b.tree.MkdirAll(".paas/"+name, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(b.job.Tree, ".paas", name), nil
}

// linkPrograms makes each compiled program available at the paths that people know from elsewhere:
// in bin and in folders, and at the top if the Procfile runs it there. What the commit has under
// such a path stays. It reports programs that have the name of a command.
func (b *build) linkPrograms(folders ...string) error {
	programs, err := fs.ReadDir(b.tree.FS(), binFolder)
	if err != nil {
		return err
	}
	for _, p := range programs {
		name := p.Name()
		in := append([]string{"bin"}, folders...)
		if b.plan.hasWord("./" + name) {
			in = append(in, ".")
		}
		for _, folder := range in {
			if err := b.link(path.Join(folder, name), path.Join(binFolder, name)); err != nil {
				return err
			}
		}
		if command, err := cmdline.LookPath(name, b.env["PATH"], b.job.Tree); err == nil {
			say.Detail(b.job.Out, "%s is a command of this server too (%s): run the app's as bin/%s",
				name, command, name)
		}
	}
	return nil
}

// link makes a relative link in the tree, unless the commit has something in its place.
func (b *build) link(at, to string) error {
	folder := path.Dir(at)
	if _, err := b.tree.Lstat(folder); err == nil && !isFolderIn(b.tree, folder) {
		return nil
	}
	err := b.tree.MkdirAll(folder, 0o755)
	if err == nil {
		var relative string
		if relative, err = filepath.Rel(folder, to); err == nil {
			err = b.tree.Symlink(relative, at)
		}
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// isFolderIn reports whether name is a folder of the tree, or a link to one.
func isFolderIn(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.IsDir()
}

// names reports whether a line of the Procfile runs the compiled program of that name.
func (p *plan) names(program string) bool {
	return slices.ContainsFunc([]string{"", "./", "bin/", "./bin/", binFolder + "/"},
		func(folder string) bool { return p.hasWord(folder + program) })
}

// hasWord reports whether a command line has that word.
func (p *plan) hasWord(word string) bool {
	for _, line := range p.processes {
		if slices.Contains(cmdline.Words(line), word) {
			return true
		}
	}
	return false
}
