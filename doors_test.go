package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"paas/access"
	"paas/config"
	"paas/receiver"
	"paas/rig/sshkey"
	"paas/router"
	"paas/runtime"
	"paas/sshd"
	"paas/volume"
	"paas/web"
)

// An app that has the server's own name from an earlier version changes nothing at the server's host.
func TestAppDoesNotGetOwnHost(t *testing.T) {
	f := frontDoor{visitorsDoor: &visitorsDoor{Router: &router.Router{}}}
	f.Set(volume.Own, router.Route{Addrs: []string{"ours"}})
	f.Route(runtime.Route{App: volume.Own})
	f.Remove(volume.Own)
	if asleep, _ := f.Sleep(volume.Own, 0); asleep {
		t.Error("the host sleeps")
	}
	if asleep, _ := f.Router.Sleep(volume.Own, 0); !asleep {
		t.Error("the host is gone")
	}
}

// Git is served to those who may deploy the app, through each door. To others it is as if the app
// were not there, or they read which right they lack.
func TestGitMatrix(t *testing.T) {
	p := newPaas(&config.Config{Root: t.TempDir(), Domain: "test", SSHAddr: ":22", HTTPAddr: ":80"})
	p.vol.Log = slog.New(slog.DiscardHandler)
	must(t, p.vol.Open())
	t.Cleanup(func() { p.vol.Close() })
	r := &receiver.Receiver{
		Volume: p.vol, Self: func() (string, error) { return "", errors.New("a test pushes nothing") },
		URL: p.addresses.App, Advice: p.advice, Log: p.vol.Log,
	}
	must(t, r.Prepare())
	key := func(name string, role access.Right) sshd.Identity {
		line := string(ssh.MarshalAuthorizedKey(sshkey.New(t).PublicKey()))
		added, err := p.keys.Add(line, access.Adding{Name: name, Role: role})
		must(t, err)
		return sshd.Identity{Name: name, Fingerprint: added[0].Fingerprint}
	}
	token := func(owner string, can access.Right, apps ...string) web.Identity {
		_, made, err := access.Tokens{Keys: p.keys}.Create(access.Token{
			Name: can.String(), Owner: owner, Can: can, Apps: apps, Expires: time.Now().Add(time.Hour),
		})
		must(t, err)
		return web.Identity{Name: owner, Token: made.ID}
	}
	admin := key("alice", access.Admin)
	own, err := p.rights().Create(access.Local("root"), "own")
	must(t, err)
	_, err = p.rights().Create(access.Local("root"), "other")
	must(t, err)
	id, err := access.AppID(own)
	must(t, err)
	granted := func(name string, right access.Right) sshd.Identity {
		who := key(name, access.Guest)
		must(t, p.rights().Grant(own, name, right))
		return who
	}
	for name, part := range map[string]struct {
		who        any
		own, other bool // may deploy it
	}{
		"admin":                   {admin, true, true},
		"member":                  {key("bob", access.Member), false, false},
		"stranger":                {key("eve", access.Guest), false, false},
		"viewer":                  {granted("vera", access.View), false, false},
		"deploy key":              {granted("ci", access.Deploy), true, false},
		"operator":                {granted("olga", access.Operate), true, false},
		"nobody":                  {sshd.Identity{Name: "alice"}, false, false},
		"admin's token":           {token("alice", access.Manage), true, true},
		"admin's token for own":   {token("alice", access.Deploy, id), true, false},
		"admin's token to view":   {token("alice", access.View), false, false},
		"deployer's token":        {token("ci", access.Manage), true, false},
		"token of the server":     {token("", access.Deploy), true, true},
		"token that is not there": {web.Identity{Name: "alice", Token: "aaaaaaaa"}, false, false},
	} {
		for _, app := range []string{"own", "other"} {
			for _, service := range []string{"git-receive-pack", "git-upload-pack"} {
				var out, errs strings.Builder
				switch who := part.who.(type) {
				case sshd.Identity:
					gitDoor{r, p.rights()}.Serve(t.Context(), who, service, app, "", strings.NewReader(""), &out, &errs)
				case web.Identity:
					webDoor{p, r}.Serve(t.Context(), who, web.Request{
						Service: service, App: app, Listing: true, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
					})
				}
				refused := strings.Contains(errs.String(), "no such app") || strings.Contains(errs.String(), "is taken") ||
					strings.Contains(errs.String(), "needs the right") || strings.Contains(errs.String(), "revoked") ||
					strings.Contains(errs.String(), "nothing proves")
				may := part.own
				if app == "other" {
					may = part.other
				}
				if refused == may || refused && out.Len() > 0 {
					t.Errorf("%s, %s of %s: %q, %d bytes", name, service, app, errs.String(), out.Len())
				}
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
