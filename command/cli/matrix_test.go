package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"

	"paas/access"
	"paas/command"
	"paas/rig/sshkey"
	"paas/volume"
)

// needs has the right that each row is meant to need, apart from the table.
var needs = map[access.Right]string{
	access.View: "apps:exists apps:info url config settings storage ps limits releases cron source " +
		"domains domains:report certs",
	access.Deploy: "config:get config:export config:set config:unset ps:restart ps:rebuild rollback " +
		"logs run cron:run source:sync",
	access.Operate: "settings:set storage:add storage:remove ps:scale ps:stop ps:start limits:set " +
		"sleep:set maintenance:on maintenance:off auth:set auth:unset allow:set domains:add domains:remove " +
		"redirect:set redirect:unset certs:add certs:remove https:set",
	access.Manage: "apps:rename apps:destroy source:set source:webhook source:unset " +
		"access access:add access:remove events " +
		"backup restore:activate",
	access.Anyone: "apps:list",
	access.Guest:  "tokens tokens:create tokens:revoke",
	access.Member: "apps:create restore",
	access.Admin:  "keys keys:add keys:role keys:remove events:on events:off doctor backup:list backup:verify backup:schedule",
}

// needOf returns the right that the row is meant to need.
func needOf(t *testing.T, name string) access.Right {
	t.Helper()
	for right, names := range needs {
		if slices.Contains(strings.Fields(names), name) {
			return right
		}
	}
	t.Fatalf("it is written nowhere who may call %s", name)
	return access.None
}

// part is somebody who calls rows.
type part struct {
	name string
	key  access.Right // role of the person's key; None: none is used
	has  access.Right // granted with the app called own
	can  access.Right // of a token of that person; None: none is used
	only bool         // the token is for the app called own
	own  access.Right // what they may do with that app, in the end
	all  access.Right // and with others
	role access.Right // and on the server
	door []string
}

var parts = []part{
	{name: "shell", all: access.Manage, own: access.Manage, role: access.Admin, door: []string{"cli"}},
	{name: "admin", key: access.Admin, all: access.Manage, own: access.Manage, role: access.Admin},
	{name: "member", key: access.Member, has: access.Manage, own: access.Manage, role: access.Member},
	{name: "manager", key: access.Guest, has: access.Manage, own: access.Manage, role: access.Guest},
	{name: "operator", key: access.Guest, has: access.Operate, own: access.Operate, role: access.Guest},
	{name: "deployer", key: access.Guest, has: access.Deploy, own: access.Deploy, role: access.Guest},
	{name: "viewer", key: access.Guest, has: access.View, own: access.View, role: access.Guest},
	{name: "stranger", key: access.Guest, role: access.Guest},
	{name: "admin's token", key: access.Admin, can: access.Manage, own: access.Manage, all: access.Manage, role: access.Anyone},
	{name: "admin's token for own", key: access.Admin, can: access.Deploy, only: true, own: access.Deploy, role: access.Anyone},
	{name: "member's token", key: access.Member, has: access.Manage, can: access.Operate, own: access.Operate, role: access.Anyone},
	{name: "viewer's token", key: access.Guest, has: access.View, can: access.Manage, own: access.View, role: access.Anyone},
}

// newCast has a server with the apps own and other, on which nothing runs, and returns somebody who
// is the part.
func newCast(t *testing.T, p part) (*stage, access.Identity) {
	t.Helper()
	vol := &volume.Volume{Root: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	keys := &access.Keys{Dir: filepath.Join(vol.Root, "ssh"), Volume: vol}
	s := &stage{t, &command.Server{
		Volume: vol, Keys: keys, Tokens: access.Tokens{Keys: keys}, Rights: access.Rights{Keys: keys},
		URL:       func(app string) string { return "http://" + app + ".test" },
		GitHost:   func() string { return "test" },
		GitHTTPS:  func(app string) string { return "" },
		SSHHost:   func() string { return "test" },
		Hint:      func(verb, args string) string { return verb + " " + args },
		Webhook:   func(app string) string { return "" },
		Isolation: func() (string, error) { return "", nil },
		Examine:   findings,
		Agree:     func(volume.App) (bool, error) { return true, nil },
		Sidecar:   fakeSidecar{},
		Domain:    func() string { return "test" },
		HTTPS:     func() bool { return false },
		Resolver:  offline, Certificates: fakeCertificates{},
		PasswordCost: bcrypt.MinCost, // the race detector makes it slow
	}}
	s.must(vol.Open())
	t.Cleanup(func() { vol.Close() })
	line := func() string { return string(ssh.MarshalAuthorizedKey(sshkey.New(t).PublicKey())) }
	for _, name := range []string{"alice", "guest"} { // whom the examples name
		_, err := keys.Add(line(), access.Adding{Name: name})
		s.must(err)
	}
	var own volume.App
	for _, name := range []string{"own", "other"} {
		app, err := s.server.Rights.Create(access.Local("alice"), name)
		s.must(err)
		s.must(s.server.Rights.Grant(app, "guest", access.View))
		if name == "own" {
			own = app
		}
	}
	if p.key == access.None {
		return s, access.Local(p.name)
	}
	added, err := keys.Add(line(), access.Adding{Name: "me", Role: p.key})
	s.must(err)
	if p.has > access.None {
		s.must(s.server.Rights.Grant(own, "me", p.has))
	}
	if p.can == access.None {
		return s, access.Identity{Name: "me", Key: added[0].Fingerprint}
	}
	token := access.Token{Name: "mine", Owner: "me", Can: p.can, Expires: time.Now().Add(time.Hour)}
	if p.only {
		id, err := own.Identity()
		s.must(err)
		token.Apps = []string{id}
	}
	_, token, err = s.server.Tokens.Create(token)
	s.must(err)
	return s, access.Identity{Name: "me", Token: token.ID}
}

// Every row, called by everybody who can have a part, with their app and with another, through every
// door, does what the rights say: what may not be seen does not exist, and what may not be done is
// forbidden. Whoever adds a row decides who may call it.
func TestMatrix(t *testing.T) {
	rows := command.Rows()
	// What ends the app, or somebody's key, comes last.
	last := []string{"access:remove", "keys:role", "keys:remove", "tokens:revoke", "apps:destroy", "apps:rename"}
	slices.SortStableFunc(rows, func(a, b command.Row) int {
		return slices.Index(last, a.About().Name) - slices.Index(last, b.About().Name)
	})
	for _, p := range parts {
		doors := p.door
		if doors == nil {
			doors = []string{"ssh", "https"}
		}
		for _, door := range doors {
			for _, app := range []string{"own", "other"} {
				t.Run(fmt.Sprintf("%s/%s/%s", p.name, door, app), func(t *testing.T) {
					t.Parallel()
					s, who := newCast(t, p)
					for _, row := range rows {
						checkRow(t, s, command.Caller{Identity: who, Door: door}, p, row, app)
					}
				})
			}
		}
	}
}

// checkRow calls the row with its example, for that app.
func checkRow(t *testing.T, s *stage, who command.Caller, p part, row command.Row, app string) {
	t.Helper()
	name := row.About().Name
	words := strings.Fields(examples[name].words)
	switch {
	case name == "tokens:create":
		words = []string{"ci"}
	case name == "apps:destroy":
		words = []string{app} // it asks for --force
	case command.TakesApp(row.Input()) && name != "apps:create":
		words[0] = app
	}
	has, need := p.role, needOf(t, name)
	if need.OnApp() {
		if has = p.all; app == "own" {
			has = p.own
		}
	}
	err := call(s, who, row, words)
	var fault *command.Fault
	errors.As(err, &fault)
	is := func(kind command.Kind) bool { return fault != nil && fault.Kind == kind }
	switch {
	case need.OnApp() && has == access.None:
		if name == "source:set" && p.role >= access.Member {
			if !is(command.Conflict) || !strings.HasPrefix(err.Error(), "the name "+app+" is taken") {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		words[0] = "nowhere"
		missing := call(s, who, row, words)
		want := strings.ReplaceAll(fmt.Sprint(missing), words[0], app)
		if fmt.Sprint(err) != want || command.ExitStatus(err) != command.ExitStatus(missing) {
			t.Errorf("%s of an app that does not exist for the caller: %q, and of one that does not exist: %q", name, err, want)
		}
	case has < need:
		if !is(command.Forbidden) {
			t.Errorf("%s by one who may not: %v", name, err)
		}
	case is(command.Forbidden) || errors.Is(err, volume.ErrNoApp):
		t.Errorf("%s by one who may: %v", name, err)
	}
}

// call calls the row with words.
func call(s *stage, who command.Caller, row command.Row, words []string) error {
	ctx, stop := context.WithTimeout(s.t.Context(), time.Minute)
	defer stop()
	_, _, err := callWith(ctx, s, who, row.About().Name, words, examples[row.About().Name].stdin)
	return err
}
