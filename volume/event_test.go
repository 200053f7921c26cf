package volume

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Concurrent writers of one file, in one process or several, neither lose nor tear a line.
func TestRecordIsOneLineEach(t *testing.T) {
	v := testVolume(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := v.Record(
				RoleCommand, Event{By: "alice", Did: "push", App: fmt.Sprint(i), Note: "a\nb"},
			)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	events, err := v.Events("", 100)
	if err != nil || len(events) != 50 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	apps := map[string]bool{}
	for _, e := range events {
		apps[e.App] = true
		if e.By != "alice" || e.Note != "a\nb" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	if len(apps) != 50 {
		t.Errorf("%d different ones", len(apps))
	}
	for _, name := range []string{"events", "events/command.jsonl"} {
		info, err := os.Stat(filepath.Join(v.Root, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// However much is recorded, a role has two files of a bounded size, with the last events and no
// gap.
func TestEventsAreBounded(t *testing.T) {
	v := testVolume(t)
	v.maxEvents = 2000
	const writers, each = 8, 100
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := v.Record(
					RoleCommand, Event{By: fmt.Sprint(w), Did: "x", Note: fmt.Sprint(i)},
				)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(v.events())
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() > v.maxEvents || info.Size() == 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Size(), err)
		}
	}
	events, err := v.Events("", 1000)
	if err != nil || len(events) < 20 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	next := map[string]int{}
	for _, e := range events {
		var i int
		fmt.Sscan(e.Note, &i)
		if n, seen := next[e.By]; seen && i != n {
			t.Errorf("after %d of writer %s comes %d", n-1, e.By, i)
		}
		next[e.By] = i + 1
	}
	for w, n := range next {
		if n != each {
			t.Errorf("the last of writer %s is %d", w, n-1)
		}
	}
}

// The files of all roles are read as one history. Half lines, which
// a power cut or a full disk has left, are skipped, and the next line is whole.
func TestEventsOfAll(t *testing.T) {
	v := testVolume(t)
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	if events, err := v.Events("", 10); err != nil || len(events) != 0 {
		t.Fatal(events, err)
	}
	for i, role := range []string{RoleGit, RoleApp, RoleCommand, RoleGit, RoleApp} {
		err := v.Record(
			role,
			Event{At: at(i + 1), By: role, App: []string{"blog", "shop"}[i%2], Note: fmt.Sprint(i)},
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	torn, err := os.OpenFile(filepath.Join(v.events(), "git.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(torn, `{"at":"2026-01-01T00:00:59Z","by":"to`)
	torn.Close()
	if err := v.Record(RoleGit, Event{At: at(6), By: "last"}); err != nil {
		t.Fatal(err)
	}
	got := func(app string, n int) string {
		events, err := v.Events(app, n)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, e := range events {
			text = append(text, e.By+e.Note)
		}
		return strings.Join(text, " ")
	}
	if got := got("", 8); got != "git0 app1 command2 git3 app4 last" {
		t.Error(got)
	}
	if got := got("shop", 8); got != "app1 git3" {
		t.Error(got)
	}
	if got := got("", 2); got != "app4 last" {
		t.Error(got)
	}
}

// A file that is renamed before the second one is opened is read once.
func TestEventsRenamedMeanwhile(t *testing.T) {
	v := testVolume(t)
	if err := v.Record(RoleGit, Event{By: "alice"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(v.events(), "git.jsonl")
	if err := os.Link(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if events, err := v.Events("", 10); err != nil || len(events) != 1 {
		t.Errorf("%v, %v", events, err)
	}
}

// A follower gets the last events, then each new one once, and nothing of what came before.
func TestFollowEvents(t *testing.T) {
	v := testVolume(t)
	for n := range 5 {
		v.Record(RoleGit, Event{By: "alice", Did: "push", App: "blog", Note: fmt.Sprint("v", n)})
	}
	var got []string
	ctx, stop := context.WithCancel(t.Context())
	err := v.FollowEvents(ctx, "blog", 2, func(events []Event) error {
		for _, e := range events {
			got = append(got, e.Note)
		}
		switch len(got) {
		case 2, 3: // as other roles do, and about other apps
			v.Record(RoleApp, Event{By: "server", Did: "crash", App: "blog", Note: fmt.Sprint("crash ", len(got))})
			v.Record(RoleApp, Event{By: "server", Did: "crash", App: "shop"})
		case 4:
			stop()
		}
		return nil
	})
	if want := []string{"v3", "v4", "crash 2", "crash 3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestRecordingOff(t *testing.T) {
	v := testVolume(t)
	for _, on := range []bool{true, false, false, true} {
		if err := v.SetRecording(on); err != nil {
			t.Fatal(err)
		}
		v.Record(RoleGit, Event{By: "alice", Did: fmt.Sprint(on)})
	}
	events, err := v.Events("", 10)
	if err != nil || len(events) != 2 || events[0].Did != "true" || events[1].Did != "true" {
		t.Errorf("%+v, %v", events, err)
	}
}
