package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func newApp(t *testing.T, v *Volume, name string) App {
	t.Helper()
	a, err := v.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// An app keeps its user id, no two apps have the same, and an id is not given again before all
// others were.
func TestUID(t *testing.T) {
	v := &Volume{Root: t.TempDir()}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	within := UIDs{First: 70000, Last: 70004}
	ask := func(a App) int {
		t.Helper()
		uid, err := a.UID(within)
		if err != nil || uid < within.First || uid > within.Last {
			t.Fatalf("%s: %d, %v", a.Name, uid, err)
		}
		return uid
	}
	blog := newApp(t, v, "blog")
	first := ask(blog)
	if again := ask(blog); again != first {
		t.Errorf("%d, and then %d", first, again)
	}
	seen := map[int]bool{first: true}
	for _, name := range []string{"a", "b", "c", "d"} {
		app := newApp(t, v, name)
		uid := ask(app)
		if seen[uid] {
			t.Errorf("%d was given twice", uid)
		}
		seen[uid] = true
		if err := v.Destroy(app); err != nil {
			t.Fatal(err)
		}
	}
	uid := ask(newApp(t, v, "e"))
	if uid == first { // the range begins again, without the ids in use
		t.Error("given although another app has it")
	}
	for _, name := range []string{"f", "g", "h"} {
		ask(newApp(t, v, name))
	}
	if _, err := newApp(t, v, "i").UID(within); RemedyOf(err).Do != AddUIDs {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(blog.Dir(), "uid"), []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if uid, err := blog.UID(within); err == nil {
		t.Errorf("took %d from a file that says root", uid)
	}
}

// Two processes give ids at the same time, and none twice.
func TestUIDsOfTwoProcesses(t *testing.T) {
	first := &Volume{Root: t.TempDir()}
	if err := first.Open(); err != nil {
		t.Fatal(err)
	}
	second := &Volume{Root: first.Root} // as another process has it
	within := UIDs{First: 70000, Last: 70039}
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for i := range 40 {
		app := newApp(t, first, fmt.Sprint("app", i))
		all.Go(func() {
			if i%2 == 0 {
				app.vol = second
			}
			uid, err := app.UID(within)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[uid] {
				t.Errorf("%s: %d, %v", app.Name, uid, err)
			}
			seen[uid] = true
		})
	}
	all.Wait()
}

// No app gets a user id that somebody else on the machine has.
func TestForeignUID(t *testing.T) {
	v := &Volume{Root: t.TempDir()}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	within := UIDs{First: 70000, Last: 70004, Foreign: func(uid int) bool { return uid != 70003 }}
	blog := newApp(t, v, "blog")
	if uid, err := blog.UID(within); uid != 70003 || err != nil {
		t.Errorf("%d, %v", uid, err)
	}
	if _, err := newApp(t, v, "shop").UID(within); err == nil {
		t.Error("given although it is taken")
	}
	within.Foreign = func(int) bool { return true }
	if uid, err := blog.UID(within); uid != 70003 || err != nil {
		t.Errorf("it has been given: %d, %v", uid, err)
	}
}

// If the file uid is damaged, the owner of the app's data is its user id. Other apps still get ids,
// and none gets that one.
func TestDamagedUID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: needs root, who gives files away")
	}
	v := &Volume{Root: t.TempDir()}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	within := UIDs{First: 70000, Last: 70001}
	blog := newApp(t, v, "blog")
	uid, err := blog.UID(within)
	if err == nil {
		err = os.Chown(blog.Data(), uid, uid)
	}
	if err == nil {
		err = os.WriteFile(blog.path("uid"), nil, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(v.Root, "uids"), []byte("torn"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := &Volume{Root: v.Root} // after a restart
	other, err := newApp(t, again, "shop").UID(within)
	if err != nil || other == uid {
		t.Errorf("%d beside %d, %v", other, uid, err)
	}
	blog.vol = again
	for range 2 {
		if now, err := blog.UID(within); now != uid || err != nil {
			t.Errorf("%d, %v; want %d", now, err, uid)
		}
	}
}
