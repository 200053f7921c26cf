package volume

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

func rename(t *testing.T, a App, name string) App {
	t.Helper()
	b, err := a.vol.Rename(a, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Everything of an app goes with it, its identity and its credentials too.
func TestRename(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "blog")
	id, _ := a.Identity()
	if err := v.Credentials("blog").Set(SourceToken, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	b := rename(t, a, "journal")
	if is, err := b.Identity(); err != nil || is != id {
		t.Errorf("identity %q, %v, want %q", is, err, id)
	}
	if token, _ := v.Credentials("journal").Get(SourceToken); string(token) != "secret" {
		t.Errorf("token %q", token)
	}
	if token, _ := v.Credentials("blog").Get(SourceToken); token != nil {
		t.Errorf("the old name keeps the token %q", token)
	}
	if names, _ := v.Apps(); !slices.Equal(names, []string{"journal"}) {
		t.Errorf("apps %q", names)
	}
	if is, err := a.Identity(); is != "" || err != nil {
		t.Errorf("the old name has identity %q, %v", is, err)
	}
	if _, err := v.App("blog"); !errors.Is(err, ErrNoApp) || RemedyOf(err).App != "journal" {
		t.Errorf("App: %v, remedy %+v", err, RemedyOf(err))
	}
	if _, err := v.Create("blog"); err == nil || RemedyOf(err).App != "journal" {
		t.Errorf("Create: %v", err)
	}
}

// An app that had several names is found under each, and may get one of them back.
func TestRenameAgain(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "a")
	c := rename(t, rename(t, a, "b"), "c")
	for _, name := range []string{"a", "b"} {
		if now, ok := v.NewName(name); !ok || now != "c" {
			t.Errorf("%s is called %q now", name, now)
		}
	}
	a = rename(t, c, "a")
	if former := a.Former(); !slices.Equal(former, []string{"b", "c"}) {
		t.Errorf("former names %q", former)
	}
	if now, ok := v.NewName("a"); ok {
		t.Errorf("a is called %q now", now)
	}
}

func TestRenameToNameOfOther(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "blog")
	newApp(t, v, "shop")
	if _, err := v.Rename(a, "shop"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if !a.Exists() {
		t.Error("blog is gone")
	}
}

// Another app that takes a former name is its own: it has no credentials, and the other one's names
// lead no visitors there.
func TestFormerNameOfNewApp(t *testing.T) {
	v := testVolume(t)
	b := rename(t, newApp(t, v, "blog"), "journal")
	if err := v.Free("blog"); err != nil {
		t.Fatal(err)
	}
	newApp(t, v, "blog")
	if err := b.Repair(); err != nil {
		t.Fatal(err)
	}
	if former := b.Former(); len(former) > 0 {
		t.Errorf("journal still has the names %q", former)
	}
	if _, err := v.App("blog"); err != nil {
		t.Error(err)
	}
}

// A name is free again once the app that had it was destroyed.
func TestDestroyRenamed(t *testing.T) {
	v := testVolume(t)
	b := rename(t, newApp(t, v, "blog"), "journal")
	if err := v.Destroy(b); err != nil {
		t.Fatal(err)
	}
	newApp(t, v, "blog")
}

// A kill before the rename leaves the old name.
func TestRenameCutOffBefore(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "blog")
	if err := os.WriteFile(a.path("names"), []byte("blog\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := a.Repair(); err != nil || !a.Exists() || len(a.Former()) > 0 {
		t.Errorf("%v, exists %v, former names %q", err, a.Exists(), a.Former())
	}
}

// A kill after the rename leaves the new name. The next repair makes the old one lead there, and
// finds the credentials.
func TestRenameCutOffAfter(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "blog")
	if err := v.Credentials("blog").Set(SourceToken, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	b := rename(t, a, "journal")
	if err := v.Free("blog"); err != nil {
		t.Fatal(err)
	}
	if err := v.Credentials("journal").moveTo(v.Credentials("blog")); err != nil {
		t.Fatal(err)
	}
	if err := b.Repair(); err != nil {
		t.Fatal(err)
	}
	if token, _ := v.Credentials("journal").Get(SourceToken); string(token) != "secret" {
		t.Errorf("token %q", token)
	}
	if now, ok := v.NewName("blog"); !ok || now != "journal" {
		t.Errorf("blog is called %q now", now)
	}
}

// A deploy that waits for the turn of an app that is being renamed hears the new name.
func TestTurnOfRenamed(t *testing.T) {
	v := testVolume(t)
	a := newApp(t, v, "blog")
	done, err := a.Turn(t.Context(), "the rename", nil)
	if err != nil {
		t.Fatal(err)
	}
	waits, failed := make(chan struct{}), make(chan error)
	go func() {
		_, err := a.Turn(t.Context(), "a push", func(string) { close(waits) })
		failed <- err
	}()
	<-waits
	rename(t, a, "journal")
	done()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "blog is called journal now") {
		t.Errorf("%v", err)
	}
}

// kill -9 at any point of a rename leaves the app under one name, whole.
func TestKilledWhileRenaming(t *testing.T) {
	v := testVolume(t)
	id, _ := newApp(t, v, "blog").Identity()
	if err := v.Credentials("blog").Set(SourceToken, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		cmd, _ := as(t, "renamer", v)
		began, _ := v.Apps()
		for now := began; slices.Equal(now, began); now, _ = v.Apps() {
			if cmd.ProcessState != nil {
				t.Fatal("the renamer has ended")
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		names, err := v.Apps()
		if err != nil || len(names) != 1 {
			t.Fatalf("apps %q, %v", names, err)
		}
		a, err := v.App(names[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Repair(); err != nil {
			t.Fatal(err)
		}
		if is, err := a.Identity(); err != nil || is != id {
			t.Fatalf("identity %q, %v, want %q", is, err, id)
		}
		if token, _ := v.Credentials(a.Name).Get(SourceToken); string(token) != "secret" {
			t.Fatalf("token %q", token)
		}
	}
}

// renameForever renames the only app of the volume again and again.
func renameForever(root string) {
	v := &Volume{Root: root}
	for n := 0; ; n++ {
		names, err := v.Apps()
		if err != nil || len(names) != 1 {
			panic(names)
		}
		a, err := v.App(names[0])
		if err == nil {
			_, err = v.Rename(a, "blog"+strings.Repeat("x", (len(a.Name)-3)%4))
		}
		if err != nil {
			panic(err)
		}
	}
}
