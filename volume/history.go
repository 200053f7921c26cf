package volume

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"sync"
)

// newest caches the highest release number of each app. After some years an app has thousands of
// releases, and no deploy may list them all.
type newest struct {
	mu   sync.Mutex
	apps map[string]known
}

// known is what the cache has of one app.
type known struct {
	id string // of the app: another app may have its name now
	n  int
}

// Last returns the number of the app's newest release, 0 if it has none. The first call of a
// process lists the releases; later calls only check for newer ones. A number is never used twice,
// even if its folder was removed.
func (a App) Last() (int, error) {
	id, err := a.Identity()
	if err != nil && !IsDamage(err) {
		return 0, err
	}
	c := &a.vol.newest
	c.mu.Lock()
	k, ok := c.apps[a.Name]
	c.mu.Unlock()
	if !ok || k.id != id || id == "" {
		numbers, err := a.numbers()
		if err != nil {
			return 0, err
		}
		k = known{id: id}
		if len(numbers) > 0 {
			k.n = numbers[len(numbers)-1]
		}
	}
	for ; ; k.n++ {
		if there, err := a.has(k.n + 1); err != nil {
			return 0, err
		} else if !there {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apps == nil {
		c.apps = map[string]known{}
	}
	c.apps[a.Name] = k
	return k.n, nil
}

// has reports whether the app has a release n.
func (a App) has(n int) (bool, error) {
	_, err := os.Lstat(a.releaseDir(n))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// History iterates over the numbers of the app's releases, newest first. An error ends it.
func (a App) History() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		last, err := a.Last()
		if err != nil {
			yield(0, err)
			return
		}
		a.Back(last)(yield)
	}
}

// Back is [App.History] from release n backwards.
func (a App) Back(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n := n; n > 0; n-- {
			there, err := a.has(n)
			// somebody has removed folders by hand, perhaps a million of them
			if err == nil && !there {
				n, err = a.before(n)
			}
			if n == 0 && err == nil || !yield(n, err) || err != nil {
				return
			}
		}
	}
}

// before is the highest number below n of a release that exists, 0 if there is none.
func (a App) before(n int) (int, error) {
	numbers, err := a.numbers()
	at, _ := slices.BinarySearch(numbers, n)
	if err != nil || at == 0 {
		return 0, err
	}
	return numbers[at-1], nil
}

// Open lists the releases after the live one that are not over, oldest first. Releases end in the
// order of their numbers, so Open reads back to the newest that is over.
func (a App) Open() (numbers []int, err error) {
	live := a.Live()
	for n, err := range a.History() {
		if err != nil {
			return nil, err
		}
		if n <= live {
			break
		}
		s, err := a.Status(n)
		if err != nil {
			return nil, err
		}
		if s.State.Over() {
			break
		}
		numbers = append(numbers, n)
	}
	slices.Reverse(numbers)
	return numbers, nil
}

// Numbers lists the numbers of all releases of the app, lowest first. Prefer [App.History].
func (a App) Numbers() []int {
	numbers, _ := a.numbers()
	return numbers
}

func (a App) numbers() ([]int, error) {
	folder, err := os.Open(a.path("releases"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}
