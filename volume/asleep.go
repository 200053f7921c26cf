package volume

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Asleep says that an app has been put to sleep: its live release stays so, and none of its processes run
// until somebody asks for it.
type Asleep struct {
	Release int       `json:"release"`        // the live one then
	Since   time.Time `json:"since"`          //
	Wake    string    `json:"wake,omitempty"` // the token of [Wanted] then
}

// Holds reports whether the app still sleeps: nothing else has gone live, and no command since wants the
// app to run, or to be stopped.
func (z Asleep) Holds(w Wanted, live int) bool {
	return z.Release > 0 && z.Release == live && z.Wake == w.Wake && w.Sleep > 0 && w.Stopped != live
}

// Asleep reads what is said of the app's sleep, which may not hold any more; zero where it is awake.
func (a App) Asleep() (Asleep, error) {
	z, err := read[Asleep](a, "asleep.json", "delete it: then the app is awake")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return z, err
}

// SetAsleep says that the app is asleep. For the runtime alone.
func (a App) SetAsleep(z Asleep) error {
	return a.tell("asleep.json", z)
}

// SetAwake takes that back. It waits for no disk: after a power cut the app may be found asleep, and
// wakes again. For the runtime alone.
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
