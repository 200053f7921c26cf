package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"paas/rig"
)

// TestMain lets the test binary also be the process that is killed or that holds a turn.
func TestMain(m *testing.M) {
	switch root := os.Getenv("VOLUME_TEST_ROOT"); os.Getenv("VOLUME_TEST_AS") {
	case "publisher":
		publishForever(root)
	case "renamer":
		renameForever(root)
	case "holder":
		holdTurn(root)
	default:
		os.Exit(m.Run())
	}
}

func testVolume(t *testing.T) *Volume {
	t.Helper()
	v := &Volume{Root: t.TempDir(), Poll: 10 * time.Millisecond}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	return v
}

func testApp(t *testing.T) App {
	t.Helper()
	a, err := testVolume(t).Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// as starts this test binary in a role on the volume, and ends it with the test.
func as(t *testing.T, role string, v *Volume) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VOLUME_TEST_AS="+role, "VOLUME_TEST_ROOT="+v.Root)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, &out
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"blog": true, "b": true, "my-app-2": true, strings.Repeat("a", 63): true,
		"": false, "Blog": false, "2blog": false, "-blog": false, "blog-": false, "a_b": false, "a.b": false,
		"..": false, ".": false, "a/b": false, "a\n": false, "blög": false, strings.Repeat("a", 64): false, "%2e": false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("blog")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil &&
			(filepath.Base(name) != name || len(name) > 30 || strings.ToLower(name) != name) {
			t.Errorf("%q passed", name)
		}
	})
}

func TestUnknownAppNamesTheNearest(t *testing.T) {
	a := testApp(t)
	_, err := a.Volume().App("blgo")
	if !errors.Is(err, ErrNoApp) || !strings.Contains(err.Error(), "did you mean blog?") {
		t.Errorf("got %v", err)
	}
	if _, err := a.Volume().App("../apps/blog"); !errors.Is(err, ErrNoApp) {
		t.Errorf("a path was taken for a name: %v", err)
	}
}

func TestCreateTwice(t *testing.T) {
	a := testApp(t)
	if _, err := a.Volume().Create("blog"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
}

func TestDestroyFreesTheName(t *testing.T) {
	a := testApp(t)
	if _, err := a.Publish(Release{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Volume().Destroy(a); err != nil {
		t.Fatal(err)
	}
	b, err := a.Volume().Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Numbers(); len(n) != 0 {
		t.Errorf("the new app has the old one's releases %v", n)
	}
}

// Every reader finds the old content or the new, whole, however many writers there are.
func TestWriteFileIsWhole(t *testing.T) {
	v := testVolume(t)
	path := filepath.Join(v.Root, "file")
	long := func(c byte) []byte { return bytes.Repeat([]byte{c}, 100_000) }
	v.WriteFile(path, long('a'), 0o600)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for _, c := range []byte("abc") {
		wg.Go(func() {
			for !stop.Load() {
				if err := v.WriteFile(path, long(c), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		content, err := os.ReadFile(path)
		if err != nil || len(content) != 100_000 || bytes.Count(content, content[:1]) != 100_000 {
			t.Fatalf("a torn read: %d bytes, %v", len(content), err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(v.Root, "tmp", "*", "*")); len(left) != 0 {
		t.Errorf("%d temporary files left", len(left))
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestPublishGivesEachItsNumber(t *testing.T) {
	a := testApp(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := a.Publish(Release{By: "alice"})
			if err != nil {
				t.Error(err)
				return
			}
			if back, err := a.Release(r.N); err != nil || back.N != r.N {
				t.Errorf("release %d reads back as %d: %v", r.N, back.N, err)
			}
		})
	}
	wg.Wait()
	if n := a.Numbers(); len(n) != 20 || n[0] != 1 || n[19] != 20 {
		t.Errorf("numbers %v", n)
	}
}

func TestCommitBeatsCancel(t *testing.T) {
	a := testApp(t)
	r, _ := a.Publish(Release{Cause: CausePush})
	a.Cancel(r.N, "its pusher left", Remedy{})
	want := Status{
		State: Cancelled, Reason: "its pusher left",
		Remedy: Remedy{Do: DeployAgain, App: a.Name, With: CausePush},
	}
	if s, cancelled := a.Cancelled(r.N); !cancelled || s != want {
		t.Errorf("cancelled: %v, %+v, want %+v", cancelled, s, want)
	}
	full := Remedy{Do: FreeDisk}
	a.Cancel(r.N, "its disk is full", full)
	if s, _ := a.Cancelled(r.N); s.Remedy != full {
		t.Errorf("%+v, want the remedy %+v", s, full)
	}
	a.Commit(r.N)
	if _, cancelled := a.Cancelled(r.N); cancelled {
		t.Error("cancelled after the commit")
	}
	if r, _ := a.Publish(Release{}); a.Committed(r.N) {
		t.Error("published as committed")
	}
}

func TestSecretsAreThePrivateFiles(t *testing.T) {
	a := testApp(t)
	s := Settings{Config: map[string]string{"TOKEN": "hush"}}
	a.SetSettings(s)
	r, _ := a.Publish(Release{Settings: s})
	for _, path := range []string{a.path("settings.json"), filepath.Join(a.releaseDir(r.N), "release.json")} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// A publisher that is killed at a random moment leaves whole releases, numbered without a gap.
func TestKilledPublisher(t *testing.T) {
	a := testApp(t)
	for round := range 5 {
		cmd, _ := as(t, "publisher", a.Volume())
		before := last(a)
		rig.Eventually(t, "a release", func() bool { return last(a) > before+round })
		cmd.Process.Kill()
		cmd.Wait()
		for i, n := range a.Numbers() {
			r, err := a.Release(n)
			if err != nil || r.N != n || n != i+1 || r.Subject != strings.Repeat("x", 50_000) {
				t.Fatalf("release %d (place %d): %v", n, i, err)
			}
			if live := a.Live(); live > 0 && live > last(a) {
				t.Fatalf("live points at %d of %d", live, last(a))
			}
		}
	}
	if err := a.Volume().Wipe(); err != nil {
		t.Fatal(err)
	}
	a.Volume().Close()
	if left, _ := os.ReadDir(filepath.Join(a.Volume().Root, "tmp")); len(left) != 0 {
		t.Errorf("%d left in tmp after Wipe", len(left))
	}
}

func publishForever(root string) {
	v := &Volume{Root: root}
	a, err := v.App("blog")
	for err == nil {
		var r Release
		r, err = a.Publish(Release{Subject: strings.Repeat("x", 50_000)})
		if err == nil {
			err = a.SetLive(r.N)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestTurnsGoInOrder(t *testing.T) {
	a := testApp(t)
	first, err := a.Turn(context.Background(), "first", nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 5 {
		asked := make(chan string, 1)
		wg.Go(func() {
			done, err := a.Turn(
				context.Background(), fmt.Sprint(i), func(holder string) { asked <- holder },
			)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			done()
		})
		if holder := <-asked; holder != "first" {
			t.Errorf("waits for %q", holder)
		}
	}
	first()
	first() // calling it twice is harmless
	wg.Wait()
	if fmt.Sprint(order) != "[0 1 2 3 4]" {
		t.Errorf("order %v", order)
	}
	if a.TurnHeld() {
		t.Error("still held")
	}
}

func TestLeavingTheQueuePassesTheTurnOn(t *testing.T) {
	a := testApp(t)
	first, _ := a.Turn(context.Background(), "first", nil)
	ctx, cancel := context.WithCancel(context.Background())
	asked, left := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := a.Turn(ctx, "second", func(h string) { asked <- h })
		left <- err
	}()
	<-asked
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	first()
	third, err := a.Turn(context.Background(), "third", nil)
	if err != nil {
		t.Fatal(err)
	}
	third()
}

// The turn of another process keeps us out, tells who holds it, and is free when that process is
// killed.
func TestTurnOfAKilledProcess(t *testing.T) {
	a := testApp(t)
	cmd, out := as(t, "holder", a.Volume())
	rig.Eventually(t, "the other process holds the turn", func() bool {
		if cmd.ProcessState != nil {
			t.Fatal(out)
		}
		who, _ := os.ReadFile(a.path("turn"))
		return string(who) == "the other process" && a.TurnHeld()
	})
	holders := make(chan string, 1)
	got := make(chan error, 1)
	go func() {
		done, err := a.Turn(context.Background(), "me", func(h string) { holders <- h })
		if err == nil {
			done()
		}
		got <- err
	}()
	if holder := <-holders; holder != "the other process" {
		t.Errorf("waits for %q", holder)
	}
	select {
	case err := <-got:
		t.Fatalf("got the turn while it was held: %v", err)
	default:
	}
	cmd.Process.Kill()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func holdTurn(root string) {
	a, err := (&Volume{Root: root}).App("blog")
	if err == nil {
		_, err = a.Turn(context.Background(), "the other process", nil)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

func TestTurnOfADestroyedApp(t *testing.T) {
	a := testApp(t)
	if err := a.Volume().Destroy(a); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Turn(context.Background(), "me", nil); !errors.Is(err, ErrNoApp) {
		t.Errorf("got %v", err)
	}
}

// The poll alone must be enough: on some volumes no notification arrives.
func TestAwaitOver(t *testing.T) {
	for name, notify := range map[string]func(context.Context, string) (<-chan string, error){
		"poll": nil,
		"events that end": func(context.Context, string) (<-chan string, error) {
			c := make(chan string)
			close(c)
			return c, nil
		},
		"no events": func(context.Context, string) (<-chan string, error) { return nil, errors.New("no inotify left") },
	} {
		t.Run(name, func(t *testing.T) {
			a := testApp(t)
			a.vol.Notify = notify
			r, _ := a.Publish(Release{})
			go func() {
				a.SetStatus(r.N, Status{State: Building})
				a.SetStatus(r.N, Status{State: Failed, Reason: "build: exit status 3"})
			}()
			s, err := a.AwaitOver(context.Background(), r.N)
			if err != nil || s.State != Failed || s.Reason != "build: exit status 3" {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
}

func TestAwaitEndsWithTheApp(t *testing.T) {
	a := testApp(t)
	r, _ := a.Publish(Release{})
	go a.Volume().Destroy(a)
	if _, err := a.AwaitOver(context.Background(), r.N); err == nil {
		t.Error("no error")
	}
}

func TestWatchStopsWithItsLastSubscriber(t *testing.T) {
	a := testApp(t)
	told := make(chan string, 100)
	stop := a.vol.Watch(func(app string) { told <- app })
	other := a.vol.Watch(func(string) {})
	other()
	a.Ring()
	if app := <-told; app != "blog" {
		t.Errorf("told of %q", app)
	}
	stop()
	a.vol.hub.mu.Lock()
	defer a.vol.hub.mu.Unlock()
	if a.vol.hub.stop != nil {
		t.Error("still watching for nobody")
	}
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var mu sync.Mutex
	var got bytes.Buffer
	w := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return got.Write(p)
	})
	has := func(want string) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return got.String() == want }
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Follow(ctx, path, 0, w) }()
	f, _ := os.Create(path) // it did not exist at first
	f.WriteString("one\n")
	rig.Eventually(t, "one", has("one\n"))
	f.WriteString("two\n")
	os.Rename(path, path+".1") // rotation: the rest of the old file comes before the new one
	f.WriteString("three\n")
	os.WriteFile(path, []byte("four\n"), 0o600)
	rig.Eventually(t, "all four", has("one\ntwo\nthree\nfour\n"))
	os.WriteFile(path, []byte("5\n"), 0o600) // shorter than what was read
	rig.Eventually(t, "after it was shortened", has("one\ntwo\nthree\nfour\n5\n"))
	g, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	g.WriteString("last\n")
	cancel() // what the file has by now is still copied
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !has("one\ntwo\nthree\nfour\n5\nlast\n")() {
		t.Errorf("got %q", got.String())
	}
}

// A rotation during the last copy hides nothing that was written by then.
func TestFollowEndsBehindRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var got bytes.Buffer
		w := writerFunc(func(p []byte) (int, error) {
			if got.Len() == 0 {
				os.Rename(path, path+".1")
				os.WriteFile(path, []byte("new\n"), 0o600)
			}
			return got.Write(p)
		})
		done := make(chan error)
		os.WriteFile(path, nil, 0o600)
		go func() { done <- Follow(ctx, path, 0, w) }()
		synctest.Wait()
		os.WriteFile(path, []byte("old\n"), 0o600)
		cancel()
		if err := <-done; err != nil || got.String() != "old\nnew\n" {
			t.Errorf("%q, %v", got.String(), err)
		}
	})
}

// An app that puts something else in place of its log shows nobody another file of the server, and
// keeps nobody waiting.
func TestFollowOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	os.WriteFile(secret, []byte("secret\n"), 0o600)
	for name, put := range map[string]func(path string) error{
		"link": func(path string) error { return os.Symlink(secret, path) },
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Follow(t.Context(), path, 0, &got); err == nil || got.Len() > 0 {
			t.Errorf("%s: %q, %v", name, got.String(), err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A child that a killed server has just forked keeps the lock until it executes its program.
func TestClaimAfterKill(t *testing.T) {
	v := testVolume(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Appendln(nil, dead.Process.Pid)
	if err := os.WriteFile(v.claim("runtime"), pid, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(v.claim("runtime"))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "0.5") // longer than a claim waits for a server that lives
	child.ExtraFiles = []*os.File{lock}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	lock.Close()
	claim, err := v.Claim("runtime")
	if err != nil {
		t.Fatal(err)
	}
	claim.Close()
}

func TestClaimIsForOne(t *testing.T) {
	v := testVolume(t)
	claim, err := v.Claim("runtime")
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Claim("runtime")
	if !errors.Is(err, ErrClaimed) ||
		!strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if !v.Claimed("runtime") {
		t.Error("the runtime is not claimed")
	}
	if v.Claimed("sshd") {
		t.Error("sshd is claimed")
	}
	claim.Close()
	if v.Claimed("runtime") {
		t.Error("still claimed")
	}
}

// Wipe removes what dead processes left, and nothing that a live one is writing.
func TestWipeSparesTheLiving(t *testing.T) {
	v := testVolume(t)
	mine, err := v.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(v.Root, "tmp", "dead")
	os.MkdirAll(filepath.Join(dead, "tree"), 0o700)
	os.WriteFile(filepath.Join(v.Root, "tmp", "file"), nil, 0o600)
	other := &Volume{Root: v.Root}
	if err := other.Wipe(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error("a living process lost what it was writing:", err)
	}
	if left, _ := os.ReadDir(filepath.Join(v.Root, "tmp")); len(left) != 1 {
		t.Errorf("%d left, want the living one's alone", len(left))
	}
	v.Close()
	if left, _ := os.ReadDir(filepath.Join(v.Root, "tmp")); len(left) != 0 {
		t.Errorf("%d left after Close", len(left))
	}
}

// Processes that start, stop and wipe at the same time never lose what they write.
func TestWipeRaces(t *testing.T) {
	v := testVolume(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				p := &Volume{Root: v.Root}
				err := errors.Join(
					p.Wipe(), p.WriteFile(filepath.Join(v.Root, fmt.Sprint("f", i)), nil, 0o600),
					p.Close(),
				)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A live server can still write after a person has emptied tmp/.
func TestTmpEmptiedByHand(t *testing.T) {
	v := testVolume(t)
	for range 2 {
		if err := v.WriteFile(filepath.Join(v.Root, "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(filepath.Join(v.Root, "tmp"))
		os.Mkdir(filepath.Join(v.Root, "tmp"), 0o700)
	}
}

func last(a App) int {
	n, _ := a.Last()
	return n
}

// Removing takes one rename, however many files there are. A process that is killed then leaves
// them to the next one.
func TestFilesAreRemovedLater(t *testing.T) {
	toolchain := Toolchain{"node", "22.0.0"}
	for name, c := range map[string]struct {
		dir    func(App) string
		remove func(App) error
	}{
		"app":       {App.Dir, func(a App) error { return a.vol.Destroy(a) }},
		"build":     {func(a App) string { return a.path("builds", "b") }, func(a App) error { return a.RemoveBuild("b") }},
		"storage":   {func(a App) string { return a.storage("up") }, func(a App) error { return a.RemoveStored("up") }},
		"source":    {App.SourceRepo, App.UnsetSource},
		"toolchain": {func(a App) string { return a.vol.ToolchainDir(toolchain) }, func(a App) error { return a.vol.RemoveToolchain(toolchain) }},
	} {
		a := testApp(t)
		file := filepath.Join(c.dir(a), "tree", "file")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o444)); err != nil {
			t.Fatal(err)
		}
		if err := c.remove(a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(c.dir(a)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: still there: %v", name, err)
		}
		later := filepath.Join(a.vol.Root, "tmp", "*", "tree", "file")
		if left, _ := filepath.Glob(later); len(left) != 1 {
			t.Errorf("%s: it was not left for later: %v", name, left)
		}
		if err := (&Volume{Root: a.vol.Root}).Wipe(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(later); len(left) > 0 {
			t.Errorf("%s: left: %v", name, left)
		}
	}
}

// The files of a destroyed app whose processes still write, until they are killed, go after that.
func TestTidyAfterWriters(t *testing.T) {
	a := testApp(t)
	root, err := os.OpenRoot(a.Data())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				root.WriteFile(fmt.Sprint(i), nil, 0o600)
			}
		}
	}()
	v := a.vol
	if err := v.Destroy(a); err != nil {
		t.Fatal(err)
	}
	if err := v.Wipe(); err != nil { // most likely in vain
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	if err := v.Wipe(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(v.Root, "tmp", "*", "data")); len(left) > 0 {
		t.Error("its files are still there")
	}
}

// A pipe or a link that an app has put in the place of a folder is removed, too.
func TestWipeOddFiles(t *testing.T) {
	a := testApp(t)
	if err := syscall.Mkfifo(a.path("spare"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", a.path("base")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Forget(Spare), a.Forget(Base)); err != nil {
		t.Fatal(err)
	}
	wiped := make(chan error, 1)
	go func() { wiped <- a.vol.Wipe() }()
	select {
	case err := <-wiped:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for somebody who writes to the pipe")
	}
	left, _ := os.ReadDir(filepath.Join(a.vol.Root, "tmp"))
	if slices.ContainsFunc(left, func(e os.DirEntry) bool { return !e.IsDir() }) {
		t.Errorf("left in tmp/: %v", left)
	}
}

// A server removes what was taken away soon after, whoever did it.
func TestTidy(t *testing.T) {
	a := testApp(t)
	tidied := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(tidied)
		a.vol.Tidy(ctx)
	}()
	other := &Volume{Root: a.vol.Root}
	if err := other.Destroy(a); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "nothing is left in tmp/", func() bool {
		left, _ := filepath.Glob(filepath.Join(a.vol.Root, "tmp", "*", "id"))
		return len(left) == 0
	})
	stop()
	<-tidied
}
