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

// folder is one control group in one hierarchy.
type folder string

func (f folder) path(file string) string { return filepath.Join(string(f), file) }

// write gives one of the kernel's files a value. It never makes a file: one that is not there is an error.
func (f folder) write(file, value string) error {
	open, err := os.OpenFile(f.path(file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer open.Close()
	_, err = open.WriteString(value)
	return err
}

// writeIfThere is write, where the kernel has such a file.
func (f folder) writeIfThere(file, value string) error {
	if err := f.write(file, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// number reads a file of one number; 0 where it is none.
func (f folder) number(file string) int64 {
	content, _ := os.ReadFile(f.path(file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return n
}

// count reads one line of a file of names and numbers, such as memory.events; 0 where there is none.
func (f folder) count(file, name string) (n int64) {
	content, _ := os.ReadFile(f.path(file))
	for line := range strings.Lines(string(content)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return n
}

// has says whether the kernel has such a file in the group.
func (f folder) has(file string) bool {
	_, err := os.Stat(f.path(file))
	return err == nil
}

// kill ends every process in the group, by the kernel's own means where it has them (Linux 5.14), else one
// by one.
func (f folder) kill() {
	if f.write("cgroup.kill", "1") == nil {
		return
	}
	content, _ := os.ReadFile(f.path("cgroup.procs"))
	for line := range strings.Lines(string(content)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 && pid != os.Getpid() {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove takes the group away, having killed what is in it, and is no error where it is gone. A process that
// was killed is in it for a moment more.
func (f folder) remove(rmdir func(string) error) error {
	const patience = 10 * time.Second
	pause := 200 * time.Microsecond
	for begin := time.Now(); ; pause = min(2*pause, 20*time.Millisecond) {
		err := rmdir(string(f))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(begin) > patience {
			return fmt.Errorf("left behind: %w", err)
		}
		f.kill()
		time.Sleep(pause)
	}
}

// empty takes away the groups in f, and then f itself.
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
