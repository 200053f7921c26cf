package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A write that fails rings no bell: the writer would wake itself, and try again at once.
func TestFailedWriteDoesNotRing(t *testing.T) {
	a := testApp(t)
	v := a.Volume()
	if _, err := a.Publish(Release{}); err != nil {
		t.Fatal(err)
	}
	bell := filepath.Join(v.Root, "bell", "blog")
	for name, write := range map[string]func() error{
		"processes": func() error { return a.SetProcesses([]Process{{Type: "web"}}) },
		"status":    func() error { return a.SetStatus(1, Status{State: Ready}) },
		"asleep":    func() error { return a.SetAsleep(Asleep{Release: 1}) },
		"cron":      func() error { return a.SetCron(Cron{}) },
		"looked":    func() error { return a.SetSourceStatus(SourceStatus{}) },
		"source":    func() error { return a.SetSource(Source{URL: "https://example.com"}) },
		"commit":    func() error { return a.Commit(1) },
		"cancel":    func() error { return a.Cancel(1, "", Remedy{}) },
	} {
		for _, full := range []bool{true, false} {
			if full {
				breakTmp(t, v)
			}
			if err := os.RemoveAll(bell); err != nil {
				t.Fatal(err)
			}
			err := write()
			if full != (err != nil) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := os.Stat(bell); full != (err != nil) {
				t.Errorf("%s, failed %v: the bell: %v", name, full, err)
			}
			if full {
				err := errors.Join(
					os.Remove(filepath.Join(v.Root, "tmp")),
					os.Rename(filepath.Join(v.Root, "away"), filepath.Join(v.Root, "tmp")),
				)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// Setting the same source and credentials again needs no disk space: each start sets those of the
// environment.
func TestUnchangedSourceIsNotWritten(t *testing.T) {
	a := testApp(t)
	v := a.Volume()
	token := []byte("secret")
	s := Source{URL: "https://example.com", ByEnvironment: true}
	set := func() error {
		return errors.Join(v.Credentials("blog").Set(SourceToken, token), a.SetSource(s))
	}
	if err := set(); err != nil {
		t.Fatal(err)
	}
	was, _, _ := a.Source()
	kept := filepath.Join(v.Root, "sources", "blog", "token")
	before, err := os.Stat(kept)
	if err != nil {
		t.Fatal(err)
	}
	breakTmp(t, v)
	bell := filepath.Join(v.Root, "bell", "blog")
	os.Remove(bell)
	if err := set(); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(kept); err != nil || !os.SameFile(before, after) {
		t.Errorf("the token was written again: %v", err)
	}
	if now, ok, err := a.Source(); now != was || !ok || err != nil {
		t.Errorf("%+v, %v", now, err)
	}
	if _, err := os.Stat(bell); err != nil { // the poll makes it again
		t.Error(err)
	}
	s.Every = time.Hour
	if err := a.SetSource(s); err == nil {
		t.Error("another period was written to a full disk")
	}
}

// breakTmp puts a file in the place of tmp/, so that no write succeeds.
func breakTmp(t *testing.T, v *Volume) {
	t.Helper()
	tmp := filepath.Join(v.Root, "tmp")
	err := errors.Join(os.Rename(tmp, filepath.Join(v.Root, "away")), os.WriteFile(tmp, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// Folders that a person removes while the volume is in use are made again: writes succeed and bells
// are heard.
func TestRemovedFolders(t *testing.T) {
	a := testApp(t)
	v := a.Volume()
	heard := make(chan string, 100)
	defer v.Watch(func(app string) { heard <- app })()
	if _, err := a.Publish(Release{}); err != nil {
		t.Fatal(err)
	}
	<-heard
	bell := filepath.Join(v.Root, "bell", "blog")
	for name, remove := range map[string]func() error{
		"tmp":      func() error { return os.RemoveAll(filepath.Join(v.Root, "tmp")) },
		"bell":     func() error { return os.RemoveAll(filepath.Join(v.Root, "bell")) },
		"a folder": func() error { return errors.Join(os.RemoveAll(bell), os.MkdirAll(filepath.Join(bell, "sub"), 0o755)) },
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if err := a.SetStatus(1, Status{State: Ready}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(bell); err != nil || info.IsDir() {
			t.Errorf("%s: the bell: %v", name, err)
		}
	}
	for len(heard) > 0 {
		<-heard
	}
	a.Ring()
	select {
	case <-heard:
	case <-time.After(time.Minute):
		t.Error("nobody hears the bell")
	}
}

// A volume that is moved or not mounted for a while does not mean that its apps are gone: else all
// would be stopped.
func TestVolumeAway(t *testing.T) {
	a := testApp(t)
	was, err := a.Identity()
	if err != nil {
		t.Fatal(err)
	}
	root := a.Volume().Root
	if err := os.Rename(root, root+"-moved"); err != nil {
		t.Fatal(err)
	}
	if id, err := a.Identity(); err == nil {
		t.Errorf("the app is %q, and not away", id)
	}
	if err := os.Rename(root+"-moved", root); err != nil {
		t.Fatal(err)
	}
	if id, err := a.Identity(); id != was || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if err := a.Volume().Destroy(a); err != nil {
		t.Fatal(err)
	}
	if id, err := a.Identity(); id != "" || err != nil {
		t.Errorf("destroyed: %q, %v", id, err)
	}
}
