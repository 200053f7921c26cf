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
	"syscall"
)

// UIDs is the range of user ids for the volume's apps, First and Last included. They need no names.
type UIDs struct {
	First, Last int
	// Foreign reports whether a user id belongs to somebody else on the machine: no app gets it
	// then. It is not asked about an app's id that was given before. nil: none does.
	Foreign func(uid int) bool
}

// UID returns the user id of the app's processes. The first call gives the app one, which it keeps.
// The processes that build and run apps call it; they give ids one at a time.
//
// The next id follows the last that any app was given, so that files of a destroyed app, which may
// still be removed, never belong to another. After Last it begins again at First, and skips what is
// taken. The very first id is random, so that another volume on this machine most likely uses
// another part of the range.
func (a App) UID(within UIDs) (int, error) {
	if uid, err := readUID(a.path("uid")); err == nil {
		return uid, nil
	}
	done, err := a.vol.lockUIDs()
	if err != nil {
		return 0, err
	}
	defer done()
	uid, err := readUID(a.path("uid"))
	if IsDamage(a.vol.damage(a.path("uid"), err, "")) { // the owner of its files tells
		if owner := ownerOf(a.Data()); owner >= within.First && owner <= within.Last {
			a.repaired(
				"uid", fmt.Sprintf("it was damaged (%v); the app's files are of %d", err, owner),
			)
			return owner, a.vol.WriteFile(a.path("uid"), []byte(strconv.Itoa(owner)+"\n"), 0o644)
		}
		return 0, a.vol.damage(
			a.path("uid"), err,
			"restore it from a backup, or write the number of the user that owns the app's files into it",
		)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return uid, err
	}
	count := within.Last - within.First + 1
	if count <= 0 {
		return 0, fmt.Errorf("no user ids from %d to %d", within.First, within.Last)
	}
	last, err := readUID(filepath.Join(a.vol.Root, "uids"))
	switch {
	case errors.Is(err, fs.ErrNotExist),
		errors.Is(err, errOdd),
		err == nil && (last < within.First || last > within.Last):
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
	err = fmt.Errorf("all user ids from %d to %d are taken by apps", within.First, within.Last)
	return 0, &Problem{err, Remedy{Do: AddUIDs}}
}

// lockUIDs blocks until no other process gives an id, and keeps others from it until done is called.
func (v *Volume) lockUIDs() (done func(), err error) {
	f, err := os.OpenFile(filepath.Join(v.Root, "run", "uids.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// takenUIDs are the ids that apps have. If an app's file is damaged, it is the owner of its data.
func (v *Volume) takenUIDs() (map[int]bool, error) {
	names, err := v.Apps()
	taken := map[int]bool{}
	for _, name := range names {
		app := App{vol: v, Name: name}
		uid, readErr := readUID(app.path("uid"))
		switch {
		case readErr == nil:
			taken[uid] = true
		case IsDamage(v.damage(app.path("uid"), readErr, "")):
			taken[ownerOf(app.Data())] = true
		case !errors.Is(readErr, fs.ErrNotExist):
			err = errors.Join(err, readErr)
		}
	}
	return taken, err
}

// ownerOf is the id of the user that owns the folder, 0 if that is not known.
func ownerOf(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return 0
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return int(owner.Uid)
}

func readUID(path string) (int, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || uid <= 0 { // 0 would be root
		return 0, odd("%.20q is no user id", content)
	}
	return uid, nil
}
