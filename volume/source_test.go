package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/rig"
)

func TestSource(t *testing.T) {
	a := testApp(t)
	if _, ok, err := a.Source(); ok || err != nil {
		t.Fatalf("an app without a source has one: %v %v", ok, err)
	}
	want := Source{URL: "https://host/me/blog.git", Branch: "main", ByEnvironment: true}
	if err := a.SetSource(want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := a.Source()
	if err != nil || !ok || got.ID == "" {
		t.Fatalf("%+v %v %v", got, ok, err)
	}
	want.ID, want.Every = got.ID, DefaultEvery
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	content, err := os.ReadFile(filepath.Join(a.Dir(), "source.json"))
	if err != nil || !strings.Contains(string(content), `"every": "10s"`) {
		t.Errorf("the period is not as people write it: %s", content)
	}
}

// The status of one source says nothing about another: their IDs differ.
func TestSourceID(t *testing.T) {
	a := testApp(t)
	set := func(s Source) string {
		t.Helper()
		if err := a.SetSource(s); err != nil {
			t.Fatal(err)
		}
		s, _, err := a.Source()
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	first := set(Source{URL: "https://host/a"})
	if set(Source{URL: "https://host/a", Every: time.Minute, ByEnvironment: true}) != first {
		t.Error("another period made another source")
	}
	if err := a.SetSourceStatus(SourceStatus{Source: first, Commit: "c1"}); err != nil {
		t.Fatal(err)
	}
	if l, err := a.SourceStatus(); err != nil || l.Commit != "c1" || l.Since.IsZero() ||
		l.At.IsZero() {
		t.Errorf("%+v %v", l, err)
	}
	branch := set(Source{URL: "https://host/a", Branch: "next"})
	if branch == first || set(Source{URL: "https://host/b", Branch: "next"}) == branch {
		t.Error("another branch or URL is the same source")
	}
	if l, err := a.SourceStatus(); err != nil || l != (SourceStatus{}) {
		t.Errorf("of a source never looked at is known: %+v %v", l, err)
	}
}

func TestSourceRefused(t *testing.T) {
	a := testApp(t)
	for _, s := range []Source{
		{}, {URL: "u", Every: time.Second - 1}, {URL: "u", Every: 24*time.Hour + 1}, {URL: "u", Every: -time.Second},
	} {
		if err := a.SetSource(s); err == nil {
			t.Errorf("%+v was set", s)
		}
	}
	for _, text := range []string{"", "{", `{"url":"u"}`, `{"url":"u","every":"soon"}`, `{"url":"u","every":"1ms"}`, `{"every":"10s"}`} {
		err := os.WriteFile(filepath.Join(a.Dir(), "source.json"), []byte(text), 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok, err := a.Source(); ok || err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
	if err := a.SetSource(Source{URL: "u"}); err != nil {
		t.Error("a damaged file cannot be replaced:", err)
	}
}

// Unsetting a source leaves nothing, and setting it again starts from the beginning.
func TestUnsetSource(t *testing.T) {
	a := testApp(t)
	if err := a.UnsetSource(); err != nil {
		t.Fatal("there was none:", err)
	}
	before, _ := os.ReadDir(a.Dir())
	c := a.Volume().Credentials(a.Name)
	err := errors.Join(c.Set(SourceToken, []byte("secret")), a.SetSource(Source{URL: "u"}))
	if err != nil {
		t.Fatal(err)
	}
	s, _, _ := a.Source()
	err = errors.Join(
		a.SetSourceStatus(SourceStatus{Source: s.ID, Commit: "c1"}),
		os.MkdirAll(filepath.Join(a.SourceRepo(), "refs"), 0o755),
		os.Mkdir(a.SourceRepo()+".new", 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.UnsetSource(); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadDir(a.Dir())
	if len(after) != len(before) {
		t.Errorf("left: %v, before: %v", after, before)
	}
	if left, _ := filepath.Glob(filepath.Join(a.Volume().Root, "sources", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestCredentials(t *testing.T) {
	v := testVolume(t)
	c := v.Credentials("blog")
	if content, err := c.Get(SourceKey); content != nil || err != nil {
		t.Errorf("%q %v", content, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := c.Set(SourceKey, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if content, err := c.Get(SourceKey); string(content) != text || err != nil {
			t.Errorf("%q %v, want %q", content, err, text)
		}
	}
	dir := filepath.Join(v.Root, "sources", "blog")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "key" {
		t.Errorf("%v %v", entries, err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	err = errors.Join(c.Remove(SourceKey), c.Remove(SourceKey), c.RemoveAll(), c.RemoveAll())
	if err != nil {
		t.Error(err)
	}
}

// Many concurrent first callers all get the same webhook secret, and it stays.
func TestWebhookSecret(t *testing.T) {
	c := testVolume(t).Credentials("blog")
	secrets := make([]string, 16)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			var err error
			if secrets[i], err = c.Webhook(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range secrets {
		if len(s) < 26 || s != secrets[0] {
			t.Errorf("got %q and %q", s, secrets[0])
		}
	}
	if err := c.Set(SourceWebhook, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Webhook(); len(s) < 26 || s == secrets[0] || err != nil {
		t.Errorf("an empty secret became %q %v", s, err)
	}
}

func TestSourceLock(t *testing.T) {
	a := testApp(t)
	unlock, err := a.SourceLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := a.TrySourceLock(); again != nil || err != nil {
		t.Errorf("two have the lock: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.SourceLock(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	next := make(chan error)
	go func() {
		unlock, err := a.SourceLock(t.Context())
		if err == nil {
			unlock()
		}
		next <- err
	}()
	unlock()
	if err := <-next; err != nil {
		t.Error(err)
	}
}

// The lock of a destroyed app does not block the next app of that name.
func TestSourceLockOfDestroyed(t *testing.T) {
	a := testApp(t)
	v := a.Volume()
	unlock, err := a.SourceLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := v.Destroy(a); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SourceLock(t.Context()); !errors.Is(err, ErrNoApp) {
		t.Error(err)
	}
	if _, err := v.Create(a.Name); err != nil {
		t.Fatal(err)
	}
	again, err := a.SourceLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// A process that dies holding the lock frees it.
func TestSourceLockOfKilled(t *testing.T) {
	if root := os.Getenv("VOLUME_TEST_SYNCER"); root != "" { // the other process
		a, err := (&Volume{Root: root}).App("blog")
		if err != nil {
			t.Fatal(err)
		}
		unlock, err := a.SourceLock(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		select {}
	}
	a := testApp(t)
	holder := exec.Command(os.Args[0], "-test.run=^TestSourceLockOfKilled$")
	holder.Env = append(os.Environ(), "VOLUME_TEST_SYNCER="+a.Volume().Root)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	rig.Eventually(t, "the other process has the lock", func() bool {
		unlock, err := a.TrySourceLock()
		if err != nil {
			t.Fatal(err)
		}
		if unlock != nil {
			unlock()
		}
		return unlock == nil
	})
	holder.Process.Kill()
	unlock, err := a.SourceLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func FuzzSource(f *testing.F) {
	f.Add([]byte(`{"url":"u","every":"10s"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		var s, again Source
		if s.UnmarshalJSON(content) != nil {
			return
		}
		if s.URL == "" || s.Every < MinEvery || s.Every > MaxEvery {
			t.Fatalf("%q was read as %+v", content, s)
		}
		text, err := s.MarshalJSON()
		if err != nil || again.UnmarshalJSON(text) != nil || s != again {
			t.Fatalf("%q was read as %+v, written as %q and read as %+v", content, s, text, again)
		}
	})
}

// A damaged interval is named in our words.
func TestSourceWithOddInterval(t *testing.T) {
	a := testApp(t)
	if err := os.WriteFile(a.path("source.json"), []byte(`{"url":"u","every":"soon"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.Source()
	if err == nil || !strings.Contains(err.Error(), `every: "soon" is not a time such as 10s;`) {
		t.Errorf("%v", err)
	}
}
