package receiver

import (
	"os"
	"path/filepath"
)

// The hooks git is given.
const (
	preReceive  = "pre-receive"
	postReceive = "post-receive"
)

// IsHook says whether a program called name (its argv[0], without folders) is to be [Hook].
func IsHook(name string) bool { return name == preReceive || name == postReceive }

func (r *Receiver) hooksDir() string { return filepath.Join(r.Volume.Root, "hooks") }

// linkHooks makes the hooks links to this program. A link has no content that could be templated,
// half-written or out of date, and the folder is ours alone: hooks inside a repository are not run.
func (r *Receiver) linkHooks() error {
	if err := os.MkdirAll(r.hooksDir(), 0o755); err != nil {
		return err
	}
	for _, name := range []string{preReceive, postReceive} {
		path := filepath.Join(r.hooksDir(), name)
		if target, err := os.Readlink(path); err == nil && target == r.Self {
			continue
		}
		if err := r.Volume.ReplaceLink(r.Self, path); err != nil {
			return err
		}
	}
	return nil
}
