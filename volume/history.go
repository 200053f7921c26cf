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

// newest is the highest release number that this process knows of each app. An app has thousands of
// releases after some years, and nothing that is done at each deploy may list them.
type newest struct {
	mu   sync.Mutex
	apps map[string]known
}

// known is what is remembered of one app.
type known struct {
	id string // of the app: another may have taken its name
	n  int
}

// Last is the number of the app's newest release, 0 where it has none. The first call of a process
// lists the releases; those after it look only for newer ones. A number is never used twice, even if
// its folder was removed.
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

// History goes through the numbers of the app's releases, the newest first, as far as the caller
// asks. An error ends it.
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

// Back is [App.History] from release n on.
func (a App) Back(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n := n; n > 0; n-- {
			there, err := a.has(n)
			if err == nil && !there { // somebody has removed folders by hand, perhaps a million of them
				n, err = a.before(n)
			}
			if n == 0 && err == nil || !yield(n, err) || err != nil {
				return
			}
		}
	}
}

// before is the highest number below n of a release that is there, 0 where there is none.
func (a App) before(n int) (int, error) {
	numbers, err := a.numbers()
	at, _ := slices.BinarySearch(numbers, n)
	if err != nil || at == 0 {
		return 0, err
	}
	return numbers[at-1], nil
}

// Open lists the releases after the live one that are not over, oldest first. Releases are over in the
// order of their numbers, so Open reads no further back than to one that is.
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

// Numbers lists the numbers of all releases of the app, lowest first: for what needs them all.
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
