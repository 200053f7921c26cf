package subprocess

import "os"

// Program returns a path of the running program, for this process to open and for its children to
// run: the path that it was started by, which people recognise in a list of processes, as long as
// it leads to this program; otherwise /proc/self/exe, for example after an upgrade.
func Program() (string, error) {
	const running = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return running, nil
	}
	own, err := os.Stat(running)
	if err != nil {
		return "", err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(own, named) {
		return running, nil
	}
	return path, nil
}
