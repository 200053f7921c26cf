package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// folder is the path of one control group in one hierarchy.
type folder string

func (f folder) path(file string) string { return filepath.Join(string(f), file) }

// write writes a value to one of the kernel's files. It never creates a file.
func (f folder) write(file, value string) error {
	open, err := os.OpenFile(f.path(file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer open.Close()
	_, err = open.WriteString(value)
	return err
}

// writeIfExists is write, but a missing file is no error.
func (f folder) writeIfExists(file, value string) error {
	if err := f.write(file, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// number reads a file with one number. The default is 0.
func (f folder) number(file string) int64 {
	content, _ := os.ReadFile(f.path(file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return n
}

// count reads one value from a file of names and numbers, such as memory.events. The default is 0.
func (f folder) count(file, name string) (n int64) {
	content, _ := os.ReadFile(f.path(file))
	for line := range strings.Lines(string(content)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return n
}

// has reports whether the group has such a file.
func (f folder) has(file string) bool {
	_, err := os.Stat(f.path(file))
	return err == nil
}

// kill kills every process in the group, at once if the kernel can (Linux 5.14), else one by one.
func (f folder) kill() {
	if f.write("cgroup.kill", "1") == nil {
		return
	}
	content, _ := os.ReadFile(f.path("cgroup.procs"))
	for line := range strings.Lines(string(content)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err == nil && pid > 1 && pid != os.Getpid() {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove kills what is in the group and removes it. If it is gone already, that is no error. A
// killed process stays in it for another moment.
func (f folder) remove(rmdir func(string) error) error {
	const timeout = 10 * time.Second
	pause := 200 * time.Microsecond
	for begin := time.Now(); ; pause = min(2*pause, 20*time.Millisecond) {
		err := rmdir(string(f))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(begin) > timeout {
			return fmt.Errorf("remove control group: %w", err)
		}
		f.kill()
		time.Sleep(pause)
	}
}

// empty removes the groups in f, and then f itself.
func (f folder) empty(rmdir func(string) error) error {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, folder(f.path(e.Name())).remove(rmdir))
		}
	}
	return errors.Join(err, f.remove(rmdir))
}
