package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"paas/volume"
)

// insisted are the folders of the machine's /tmp without which the app in tree does not start, made
// where they are not there. For apps that have no /tmp of their own.
//
// They are those of .NET, which keeps named mutexes in them whatever TMPDIR says, and builds
// nothing without. All .NET programs of the server's user share them.
func insisted(tree string) (folders []string) {
	isProject := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(tree, pattern))
		return len(found) > 0
	}
	if !slices.ContainsFunc([]string{"*.csproj", "*.fsproj", "*.vbproj", "*.sln", "*.slnx"}, isProject) {
		return nil
	}
	for path, mode := range map[string]os.FileMode{
		"/tmp/.dotnet": 0o777 | os.ModeSticky, // as .NET makes it, for all users
		fmt.Sprintf("/tmp/.dotnet-uid%d", os.Getuid()): 0o700, // from .NET 10 on
	} {
		if os.Mkdir(path, mode) == nil {
			os.Chmod(path, mode) // whatever the umask
		}
		if info, err := os.Lstat(path); err == nil && info.IsDir() { // a link would lead elsewhere
			folders = append(folders, path)
		}
	}
	return folders
}

// deniedTmp is an output that looks for a file of /tmp that could not be opened.
type deniedTmp struct {
	io.Writer
	path string // of the first; empty: none yet
	line []byte // the last one, as far as it has come
}

// denied are the words of errors for it, with the path before or after them.
var denied = regexp.MustCompile(`(?i)(/tmp/[^\s'":,;()]+).*(permission denied|access to the path .* is denied|EACCES)|(?:permission denied|access to the path|EACCES).*?(/tmp/[^\s'":,;()]+)`)

func (d *deniedTmp) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			if len(d.line) < 4096 {
				d.line = append(d.line, b)
			}
			continue
		}
		d.look()
	}
	return d.Writer.Write(p)
}

func (d *deniedTmp) look() {
	if found := denied.FindSubmatch(d.line); found != nil && d.path == "" {
		d.path = string(found[1]) + string(found[3])
	}
	d.line = d.line[:0]
}

// explain adds to err, with which a build has ended, what was behind it.
func (d *deniedTmp) explain(err error) error {
	if d.look(); err == nil || d.path == "" {
		return err
	}
	return &volume.Problem{
		Err:    fmt.Errorf("%w; %s: apps of this server cannot write to /tmp, only to $TMPDIR", err, d.path),
		Remedy: volume.Remedy{Do: volume.OpenFolder},
	}
}
