package confine

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// restrict puts the calling thread under Landlock, and it alone: the library's own Restrict takes all threads.
func (b *Box) restrict() error {
	config := landlock.V7
	config.HandledAccessNet = 0
	if b.Force.mounts() { // the user, or the sandbox, keeps signals from other apps, and those of one app may send them
		config.Scoped = llsys.ScopeAbstractUnixSocket
	}
	ruleset, flags, err := config.BestEffort().NewRulesetFD(b.rules()...)
	if err != nil {
		return err
	}
	defer unix.Close(ruleset)
	return llsys.LandlockRestrictSelf(ruleset, flags)
}

// devices are what programs may well open in /dev. /dev/tty is the terminal of who opens it.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"}

func (b *Box) rules() []landlock.Rule {
	read, write := []string{"/"}, slices.Concat(b.Write, devices)
	switch {
	case b.Force.Users:
		write = append(append(write, privateFolders...), "/dev/pts") // without users those in there are everybody's
	case b.Force.Sandboxes:
		read = append(around([]string{"/dev"}), "/dev/shm")
		write = append(write, privateFolders...)
	default:
		read = append(around(slices.Concat(b.Hide, apart)), b.Read...)
		write = append(write, b.Tmp)
	}
	folders, files := sorted(read)
	ownFolders, ownFiles := sorted(write)
	return []landlock.Rule{
		landlock.RODirs(folders...), landlock.ROFiles(files...),
		landlock.RWDirs(ownFolders...).WithRefer().WithIoctlDev(), landlock.RWFiles(ownFiles...).WithIoctlDev(),
	}
}

// sorted tells folders from files, for Landlock wants to know, and leaves out what is not there, or not for the
// server's user either.
func sorted(paths []string) (folders, files []string) {
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

// apart are folders that all users of the machine share, or in which they keep sockets and the like.
var apart = []string{"/tmp", "/var/tmp", "/dev", "/run/user"}

// around lists what there is outside of the hidden folders, as few names as it takes. Links are left out:
// what they lead to is there under its own name, or hidden.
func around(hidden []string) []string {
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
