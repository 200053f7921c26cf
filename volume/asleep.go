package volume

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Asleep records that an app sleeps: its release stays live, but none of its processes run until a
// request or a command wakes it.
type Asleep struct {
	Release int       `json:"release"` // that was live when the app fell asleep
	Since   time.Time `json:"since"`
	Wake    string    `json:"wake,omitempty"` // the token in [Wanted] at that time
}

// Holds reports whether the app still sleeps: nothing else has gone live, and no command since
// wants the app to run, or to be stopped.
func (z Asleep) Holds(w Wanted, live int) bool {
	return z.Release > 0 && z.Release == live && z.Wake == w.Wake && w.Sleep > 0 &&
		w.Stopped != live
}

// Asleep reads since when the app sleeps: zero if it is awake. See [Asleep.Holds].
func (a App) Asleep() (Asleep, error) {
	z, err := read[Asleep](a, "asleep.json", "delete it: then the app is awake")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return z, err
}

// SetAsleep records that the app is asleep. Only the runtime calls it.
func (a App) SetAsleep(z Asleep) error {
	return a.tell("asleep.json", z)
}

// SetAwake records that the app is awake. It does not wait for the disk: after a power cut the app
// may seem asleep, and wakes again. Only the runtime calls it.
func (a App) SetAwake() error {
	path := a.path("asleep.json")
	if isFolder(path) {
		return a.vol.aside(path)
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}
