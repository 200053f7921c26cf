package volume

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"paas/durable"
)

// Toolchain is a version of a program that was fetched because builds ask for it. All apps can read
// it.
type Toolchain struct {
	Name    string `json:"name"`    // "node"
	Version string `json:"version"` // "20.17.0"
}

func (t Toolchain) String() string { return t.Name + " " + t.Version }

// Bin is the folder of the toolchain's programs, below [Volume.ToolchainFolder].
func (t Toolchain) Bin() string { return path.Join(t.Name, t.Version, "bin") }

// ToolchainFolder is the folder of all toolchains.
func (v *Volume) ToolchainFolder() string { return filepath.Join(v.Root, "toolchains") }

// ToolchainDir is the folder of a toolchain. It exists only if the toolchain is complete.
func (v *Volume) ToolchainDir(t Toolchain) string {
	return filepath.Join(v.ToolchainFolder(), t.Name, t.Version)
}

// PublishToolchain moves dir, a folder made by [Volume.TempDir], to its place. It blocks until the
// files are on disk. If the toolchain is there already, the error is [fs.ErrExist]. Only the
// runtime's side calls it.
func (v *Volume) PublishToolchain(t Toolchain, dir string) error {
	to := v.ToolchainDir(t)
	err := errors.Join(os.Chmod(dir, 0o755), openFolder(filepath.Dir(to)))
	if err == nil {
		err = durable.Flush(dir) // else a power cut can leave half of it under its name
	}
	if err == nil {
		err = os.Rename(dir, to)
	}
	if err == nil {
		err = errors.Join(os.Chmod(to, 0o555), durable.SyncDir(filepath.Dir(to)))
	}
	return err
}

// Toolchains lists the toolchains.
func (v *Volume) Toolchains() (list []Toolchain, err error) {
	names, err := os.ReadDir(v.ToolchainFolder())
	for _, name := range names {
		versions, listErr := os.ReadDir(filepath.Join(v.ToolchainFolder(), name.Name()))
		err = errors.Join(err, listErr)
		for _, version := range versions {
			list = append(list, Toolchain{name.Name(), version.Name()})
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

// RemoveToolchain removes a toolchain, in one step. Only the runtime calls it, when no build can be
// using the toolchain.
func (v *Volume) RemoveToolchain(t Toolchain) error {
	os.Chmod(v.ToolchainDir(t), 0o755) // a folder moves only if it is writable
	return v.discard(v.ToolchainDir(t))
}
