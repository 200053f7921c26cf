package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"paas/access"
	"paas/command"
	"paas/rig"
)

// Who waits for the end of a push changes no later app of that name, and needs the right still.
func TestRightAfterWait(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(s *stage)
		want      string
	}{
		"another app": {func(s *stage) {
			own, err := s.server.Volume.App("own")
			s.must(err)
			s.must(s.server.Volume.Destroy(own))
			_, err = s.server.Rights.Create(access.Local("alice"), "own")
			s.must(err)
		}, `no such app: "own"`},
		"less right": {func(s *stage) {
			own, err := s.server.Volume.App("own")
			s.must(err)
			s.must(s.server.Rights.Grant(own, "me", access.View))
		}, "me may view own, and this needs the right to operate it"},
	} {
		t.Run(name, func(t *testing.T) {
			s, operator := newCast(t, partOf("operator"))
			own, err := s.server.Volume.App("own")
			s.must(err)
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			done, err := own.Turn(ctx, "a push", nil)
			s.must(err)
			defer done()
			root := New("paas", "", access.Guest, []string{"settings:set", "own", "branch=mine"}, Table{
				Rows: command.Rows(),
				Begin: func(c *command.Call) (func(), error) {
					c.Server, c.Caller = s.server, command.Caller{Identity: operator, Door: "ssh"}
					return func() {}, nil
				},
			})
			root.SetOut(io.Discard)
			root.SetErr(&interrupted{do: func() {
				test.meanwhile(s)
				done()
			}})
			if got := rig.Message(root.ExecuteContext(ctx)); !strings.HasPrefix(got, test.want) {
				t.Errorf("ended with %q", got)
			}
			own, err = s.server.Volume.App("own")
			s.must(err)
			if settings, err := own.Settings(); err != nil || settings.Branch == "mine" {
				t.Errorf("%+v, %v", settings, err)
			}
		})
	}
}
