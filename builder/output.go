package builder

import "path/filepath"

// appProgram is the path of a compiled app's one program if there is no Procfile.
const appProgram = ".paas/bin/app"

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
