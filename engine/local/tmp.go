package local

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"paas/builder"
	"paas/volume"
)

// dotnetFolders makes and returns the folders in the machine's /tmp that the app in tree cannot
// start without. It is for apps that have no /tmp of their own.
//
// .NET keeps named mutexes there whatever TMPDIR says, and cannot build without them. All .NET
// programs of the server's user share these folders.
func dotnetFolders(tree string) (folders []string) {
	if !builder.IsDotnet(tree) {
		return nil
	}
	for path, mode := range map[string]os.FileMode{
		"/tmp/.dotnet": 0o777 | os.ModeSticky, // the mode that .NET gives it, for all users
		fmt.Sprintf("/tmp/.dotnet-uid%d", os.Getuid()): 0o700, // from .NET 10 on
	} {
		if os.Mkdir(path, mode) == nil {
			os.Chmod(path, mode) // the umask may have removed bits
		}
		if info, err := os.Lstat(path); err == nil && info.IsDir() { // not a link
			folders = append(folders, path)
		}
	}
	return folders
}

// deniedTmp watches an output for an error about a file in /tmp that could not be opened.
type deniedTmp struct {
	io.Writer
	path string // path of the first such file; empty: none yet
	line []byte // the last line so far
}

// denied matches such an error, with the path before or after the words.
var denied = regexp.MustCompile(`(?i)(/tmp/[^\s'":,;()]+).*` +
	`(permission denied|access to the path .* is denied|EACCES)` +
	`|(?:permission denied|access to the path|EACCES).*?(/tmp/[^\s'":,;()]+)`)

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

// explain adds the cause to err, the error of a build.
func (d *deniedTmp) explain(err error) error {
	if d.look(); err == nil || d.path == "" {
		return err
	}
	return &volume.Problem{
		Err:    fmt.Errorf("%w; %s: apps of this server cannot write to /tmp, only to $TMPDIR", err, d.path),
		Remedy: volume.Remedy{Do: volume.OpenFolder},
	}
}
