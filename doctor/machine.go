package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// oldestGit is the first version whose hooks see a push before it is accepted.
const oldestGit = "2.11"

// Git returns an error if git is missing or too old.
func Git(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not installed")
	}
	if err != nil {
		return fmt.Errorf("git --version: %w", err)
	}
	version := strings.TrimPrefix(string(bytes.TrimSpace(out)), "git version ")
	if older(version, oldestGit) {
		return fmt.Errorf("git %s is too old; pushes need %s or later", version, oldestGit)
	}
	return nil
}

// older compares two versions by their first two numbers.
func older(version, than string) bool {
	var a, b [2]int
	fmt.Sscanf(version, "%d.%d", &a[0], &a[1])
	fmt.Sscanf(than, "%d.%d", &b[0], &b[1])
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

// Open reports whether the mode of a folder lets other users do anything with what is in it.
func Open(folder string) (bool, error) {
	info, err := os.Stat(folder)
	return err == nil && info.Mode().Perm()&0o077 != 0, err
}

// Listener is a program that listens on all addresses of the machine.
type Listener struct{ Port, UID int }

// Listeners returns the programs that listen on all addresses, at a TCP port from first to last. It
// is empty where there is no /proc.
func Listeners(first, last int) (all []Listener) {
	for _, file := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid
			field := strings.Fields(line)
			if len(field) < 8 || field[3] != "0A" { // TCP_LISTEN
				continue
			}
			host, hex, _ := strings.Cut(field[1], ":")
			port, err := strconv.ParseUint(hex, 16, 16)
			uid, uidErr := strconv.Atoi(field[7])
			if err == nil && uidErr == nil && strings.Trim(host, "0") == "" && int(port) >= first && int(port) <= last {
				all = append(all, Listener{int(port), uid})
			}
		}
	}
	return all
}

// Foreign returns those of the paths whose owner is not that of the folder root. It skips what does
// not exist.
func Foreign(root string, paths ...string) (foreign []string, err error) {
	want, err := owner(root)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		has, err := owner(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if has != want {
			foreign = append(foreign, path)
		}
	}
	return foreign, nil
}

func owner(path string) (uint32, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Uid, nil
}

// Writable reports whether other users than its owner may change a file, or put another one in its
// place. It looks at the file and its folder.
func Writable(path string) (bool, error) {
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false, err
	}
	const write, enter = 0o022, 0o011
	replace := folder.Mode().Perm()&write != 0 && folder.Mode()&fs.ModeSticky == 0
	change := file.Mode().Perm()&write != 0 && folder.Mode().Perm()&enter != 0
	return replace || change, nil
}
