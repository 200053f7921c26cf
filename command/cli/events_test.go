package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/access"
	"paas/command"
	"paas/rig"
	"paas/volume"
)

// Who gives an app the name of an app that was destroyed does not read what others did with that.
func TestEventsOfEarlierApp(t *testing.T) {
	s, member := newCast(t, partOf("member"))
	me := command.Caller{Identity: member, Door: "ssh"}
	long := time.Now().Add(-2 * time.Hour)
	s.must(os.Chtimes(filepath.Join(s.server.Volume.Root, "apps", "own", "id"), long, long))
	s.must(s.server.Volume.Record(volume.RoleGit, volume.Event{
		At: time.Now().Add(-time.Hour), By: "bob", Did: "config:set", App: "gone", Note: "hidden",
	}))
	_, _, err := callWith(t.Context(), s, me, "apps:rename", []string{"own", "gone"}, "")
	s.must(err)
	answer, _, err := callWith(t.Context(), s, me, "events", []string{"gone"}, "")
	s.must(err)
	if strings.Contains(answer, "hidden") {
		t.Error(answer)
	}
}

// interrupted calls do once before the first write.
type interrupted struct {
	strings.Builder
	first sync.Once
	do    func()
}

func (w *interrupted) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *interrupted) Write(p []byte) (int, error) {
	w.first.Do(w.do)
	return w.Builder.Write(p)
}

// Who follows the events of an app reads none of a later app of its name.
func TestFollowedEventsOfLaterApp(t *testing.T) {
	s, member := newCast(t, partOf("member"))
	own, err := s.server.Volume.App("own")
	s.must(err)
	record := func(note string) {
		s.must(s.server.Volume.Record(volume.RoleGit, volume.Event{By: "bob", Did: "push", App: "own", Note: note}))
	}
	record("first")
	out := &interrupted{do: func() {
		s.must(s.server.Volume.Destroy(own))
		_, err := s.server.Rights.Create(access.Local("alice"), "own")
		s.must(err)
		record("hidden")
	}}
	root := New("paas", "", access.Member, []string{"events", "own", "-t"}, Table{
		Rows: command.Rows(),
		Begin: func(c *command.Call) (func(), error) {
			c.Server, c.Caller = s.server, command.Caller{Identity: member, Door: "ssh"}
			return func() {}, nil
		},
	})
	root.SetOut(out)
	root.SetErr(io.Discard)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if got := rig.Message(root.ExecuteContext(ctx)); !strings.HasPrefix(got, `no such app: "own"`) {
		t.Errorf("ended with %q", got)
	}
	if strings.Contains(out.String(), "hidden") {
		t.Error(out)
	}
}

// A variable in front of a command may be a secret, and so may be what follows in the same word.
func TestEventOfRunHasNoSecret(t *testing.T) {
	for _, word := range []string{"KEY=hidden", "psql postgres://me:hidden@db", "sh\tKEY=hidden"} {
		s := newStage(t)
		callWith(t.Context(), s, admin, "run", []string{"blog", "--", word, "id"}, "") // nothing runs it here
		events, err := s.server.Volume.Events("blog", 1)
		s.must(err)
		if got := events[0]; got.Did != "run" || strings.Contains(got.Note, "hidden") {
			t.Errorf("%q: recorded %+v", word, got)
		}
	}
}
