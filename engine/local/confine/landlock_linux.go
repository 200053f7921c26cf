package confine

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// enterLandlock restricts the calling thread. The library's own Restrict would restrict all
// threads.
func (b *Box) enterLandlock() error {
	config := landlock.V7
	config.HandledAccessNet = 0
	if b.Isolation.Mounts() {
		// the user or the sandbox already restricts signals to the same app
		config.Scoped = llsys.ScopeAbstractUnixSocket
	}
	ruleset, flags, err := config.BestEffort().NewRulesetFD(b.rules()...)
	if err != nil {
		return err
	}
	defer unix.Close(ruleset)
	return llsys.LandlockRestrictSelf(ruleset, flags)
}

// devices are what programs may open in /dev. /dev/tty is the terminal of the process that opens
// it.
var devices = []string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx",
}

func (b *Box) rules() []landlock.Rule {
	read, write := []string{"/"}, slices.Concat(b.Write, devices)
	for _, p := range b.Places {
		if p.Writable {
			write = append(write, p.At)
		}
	}
	switch {
	case b.Isolation.Users:
		// without users, terminals in /dev/pts would belong to every app
		write = append(append(write, privateFolders...), "/dev/pts")
	case b.Isolation.Sandboxes:
		read = append(outside([]string{"/dev"}), "/dev/shm")
		write = append(write, privateFolders...)
	default:
		read = append(outside(slices.Concat(b.Hide, sharedFolders)), b.Read...)
		write = append(write, b.Tmp)
	}
	folders, files := split(read)
	ownFolders, ownFiles := split(write)
	return []landlock.Rule{
		landlock.RODirs(folders...), landlock.ROFiles(files...),
		landlock.RWDirs(ownFolders...).WithRefer().WithIoctlDev(),
		landlock.RWFiles(ownFiles...).WithIoctlDev(),
	}
}

// split separates folders from files, as Landlock needs it. It drops what does not exist or the
// server cannot see either.
func split(paths []string) (folders, files []string) {
	for _, path := range paths {
		switch info, err := os.Stat(path); {
		case err != nil:
		case info.IsDir():
			folders = append(folders, path)
		default:
			files = append(files, path)
		}
	}
	return folders, files
}

// sharedFolders are folders that all users share, or in which they keep sockets and the like.
var sharedFolders = []string{"/tmp", "/var/tmp", "/dev", "/run/user"}

// outside lists what is outside of the hidden folders, in as few names as possible. It skips links:
// their targets are listed under their own names, or hidden.
func outside(hidden []string) []string {
	hidden = outermost(hidden)
	var list []string
	var walk func(dir string)
	walk = func(dir string) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			isAbove := func(h string) bool { return below(h, path) }
			switch {
			case slices.Contains(hidden, path), e.Type()&os.ModeSymlink != 0:
			case slices.ContainsFunc(hidden, isAbove):
				walk(path)
			default:
				list = append(list, path)
			}
		}
	}
	walk("/")
	return list
}
