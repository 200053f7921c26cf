package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// UIDs is a range of user ids that the volume's apps are given, both ends among them. They need no names.
type UIDs struct {
	First, Last int
	// Foreign reports whether a user id belongs to somebody else on the machine, so that no app is given it. nil: none
	// does. An app that has its user id already is not asked about.
	Foreign func(uid int) bool
}

// uids is who allocates, one app at a time.
type uids struct{ mu sync.Mutex }

// UID is the user id of the app's processes, which it is given with the first call and keeps. For the
// runtime alone.
//
// The next is taken after the last that was given to anybody, so that the files of an app that was
// destroyed, which may still be on their way out, are never another's. After the last of the range comes the
// first again, without those that are taken. The very first is chosen by chance: another volume of this machine
// has most likely another part of the range.
func (a App) UID(within UIDs) (int, error) {
	a.vol.uids.mu.Lock()
	defer a.vol.uids.mu.Unlock()
	uid, err := readUID(a.path("uid"))
	if !errors.Is(err, fs.ErrNotExist) {
		return uid, err
	}
	count := within.Last - within.First + 1
	if count <= 0 {
		return 0, fmt.Errorf("no user ids from %d to %d", within.First, within.Last)
	}
	last, err := readUID(filepath.Join(a.vol.Root, "uids"))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && (last < within.First || last > within.Last):
		last = within.First + rand.IntN(count)
	case err != nil:
		return 0, err
	}
	taken, err := a.vol.takenUIDs()
	if err != nil {
		return 0, err
	}
	for range count {
		if last++; last > within.Last {
			last = within.First
		}
		if taken[last] || within.Foreign != nil && within.Foreign(last) {
			continue
		}
		text := []byte(strconv.Itoa(last) + "\n")
		if err := a.vol.WriteFile(filepath.Join(a.vol.Root, "uids"), text, 0o644); err != nil {
			return 0, err
		}
		return last, a.vol.WriteFile(a.path("uid"), text, 0o644)
	}
	return 0, fmt.Errorf("all user ids from %d to %d are taken; give PAAS_UIDS a larger range", within.First, within.Last)
}

func (v *Volume) takenUIDs() (map[int]bool, error) {
	names, err := v.Apps()
	taken := map[int]bool{}
	for _, name := range names {
		uid, readErr := readUID(App{vol: v, Name: name}.path("uid"))
		if readErr == nil {
			taken[uid] = true
		} else if !errors.Is(readErr, fs.ErrNotExist) {
			err = errors.Join(err, readErr)
		}
	}
	return taken, err
}

func readUID(path string) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || uid <= 0 { // 0 would be root
		return 0, fmt.Errorf("%s: %.20q is no user id", path, content)
	}
	return uid, nil
}
