package access

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig/sshkey"
	"paas/volume"
)

// someRights has the apps blog and shop, an admin alice, and guests carol and dave.
func someRights(t *testing.T) (Rights, map[string]Identity) {
	t.Helper()
	vol := &volume.Volume{Root: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	if err := vol.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vol.Close() })
	r := Rights{&Keys{Dir: filepath.Join(vol.Root, "ssh"), Volume: vol}}
	people := map[string]Identity{}
	for _, name := range []string{"alice", "carol", "dave"} {
		key := addLine(t, r.Keys, Adding{Name: name, Role: Guest}, string(lineOf(sshkey.New(t))))
		people[name] = Identity{Name: name, Key: key.Fingerprint}
	}
	for _, name := range []string{"blog", "shop"} {
		if _, err := vol.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	return r, people
}

func (r Rights) mustGrant(t *testing.T, app, person string, right Right) {
	t.Helper()
	a, err := r.Volume.App(app)
	if err == nil {
		err = r.Grant(a, person, right)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// may reports whether who may do with the app what needs the right.
func (r Rights) may(who Identity, right Right, app string) bool {
	_, err := r.Admit(who, right, app)
	return err == nil
}

// Each right includes those before it, for that app only.
func TestGrants(t *testing.T) {
	r, people := someRights(t)
	for has := View; has <= Manage; has++ {
		r.mustGrant(t, "blog", "carol", has)
		for needs := View; needs <= Manage; needs++ {
			if got := r.may(people["carol"], needs, "blog"); got != (needs <= has) {
				t.Errorf("who may %s may %s: %v", has, needs, got)
			}
		}
	}
	if r.may(people["carol"], View, "shop") {
		t.Error("another app")
	}
	if r.may(people["dave"], View, "blog") {
		t.Error("another person")
	}
	if r.may(Identity{}, View, "blog") {
		t.Error("nobody")
	}
	if r.may(Identity{Name: "carol"}, View, "blog") {
		t.Error("one who only says so")
	}
	if !r.may(people["alice"], Manage, "shop") {
		t.Error("an admin may not")
	}
}

// What was granted goes with the app, not with its name.
func TestGrantsFollowTheApp(t *testing.T) {
	r, people := someRights(t)
	r.mustGrant(t, "blog", "carol", Deploy)
	blog, err := r.Volume.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	news, err := r.Volume.Rename(blog, "news")
	if err != nil {
		t.Fatal(err)
	}
	if !r.may(people["carol"], Deploy, "news") {
		t.Error("it was lost")
	}
	if err := r.Volume.Destroy(news); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Volume.Create("news"); err != nil {
		t.Fatal(err)
	}
	if r.may(people["carol"], View, "news") {
		t.Error("a later app of the same name")
	}
	if err := r.Sweep(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(r.Dir, grantsFolder)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A person who comes later has nothing of an earlier one of the same name, whatever ended that one.
func TestLaterPersonOfThatName(t *testing.T) {
	for what, end := range map[string]func(Rights) error{
		"removed":          func(r Rights) error { return r.Remove("carol") },
		"removed by shell": func(r Rights) error { return os.Remove(filepath.Join(r.Dir, "keys", "carol")) },
	} {
		r, _ := someRights(t)
		r.mustGrant(t, "blog", "carol", Manage)
		if err := end(r); err != nil {
			t.Fatal(err)
		}
		key := addLine(t, r.Keys, Adding{Name: "carol", Role: Guest}, string(lineOf(sshkey.New(t))))
		if r.may(Identity{Name: "carol", Key: key.Fingerprint}, View, "blog") {
			t.Errorf("%s: she may", what)
		}
	}
}

// The decision is made anew each time: the key may be gone meanwhile, or the role another one.
func TestRightsChange(t *testing.T) {
	r, people := someRights(t)
	r.mustGrant(t, "blog", "carol", Deploy)
	if err := r.Remove("carol"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Admit(people["carol"], View, "blog"); err == nil || err.Error() != "your key was removed" {
		t.Error(err)
	}
	addLine(t, r.Keys, Adding{Name: "boss", Role: Admin}, string(lineOf(sshkey.New(t))))
	if err := r.SetRole("alice", Guest); err != nil {
		t.Fatal(err)
	}
	if r.may(people["alice"], View, "blog") {
		t.Error("one who is no admin any more may view all")
	}
}

// A token has the least of what it can and what its owner may, with its apps only.
func TestRightsOfToken(t *testing.T) {
	r, _ := someRights(t)
	tokens := Tokens(r)
	blog, err := r.Volume.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	id, err := blog.Identity()
	if err != nil {
		t.Fatal(err)
	}
	make := func(owner string, can Right, apps ...string) Identity {
		_, token, err := tokens.Create(Token{
			Name: can.String(), Owner: owner, Can: can, Apps: apps, Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		return Identity{Name: owner, Token: token.ID}
	}
	r.mustGrant(t, "blog", "carol", Deploy)
	all, one, wide := make("alice", Deploy), make("alice", Manage, id), make("carol", Manage)
	server := make("", Operate)
	for _, tt := range []struct {
		what  string
		who   Identity
		right Right
		app   string
		want  bool
	}{
		{"a deploy token of an admin deploys", all, Deploy, "shop", true},
		{"a deploy token of an admin operates", all, Operate, "shop", false},
		{"a token for one app manages it", one, Manage, "blog", true},
		{"a token for one app views another", one, View, "shop", false},
		{"a manage token of one who deploys deploys", wide, Deploy, "blog", true},
		{"a manage token of one who deploys operates", wide, Operate, "blog", false},
		{"a token of the server operates", server, Operate, "shop", true},
		{"a token of the server manages", server, Manage, "shop", false},
	} {
		if got := r.may(tt.who, tt.right, tt.app); got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
	// The owner loses the role after the token was made.
	addLine(t, r.Keys, Adding{Name: "boss", Role: Admin}, string(lineOf(sshkey.New(t))))
	if err := r.SetRole("alice", Guest); err != nil {
		t.Fatal(err)
	}
	if r.may(all, View, "shop") {
		t.Error("the token may more than its owner")
	}
	if err := tokens.Revoke(wide.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Admit(wide, View, "blog"); !errors.Is(err, ErrTokenRevoked) {
		t.Errorf("revoked meanwhile: %v", err)
	}
}

// Nothing says that there is an app which one may not see.
func TestNothingNamesOtherApps(t *testing.T) {
	r, people := someRights(t)
	r.mustGrant(t, "shop", "dave", View)
	for _, name := range []string{"blog", "blig", "none"} {
		_, err := r.Admit(people["carol"], View, name)
		if !errors.Is(err, volume.ErrNoApp) || err.Error() != `no such app: "`+name+`"` {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Admit(people["dave"], View, "shup"); err == nil || !strings.Contains(err.Error(), "did you mean shop?") {
		t.Errorf("one's own app is not suggested: %v", err)
	}
	if names, err := r.Apps(people["dave"]); err != nil || len(names) != 1 || names[0] != "shop" {
		t.Errorf("%q, %v", names, err)
	}
}

// Two processes grant at once: one of the two rights is there, whole.
func TestGrantsAtOnce(t *testing.T) {
	r, people := someRights(t)
	blog, err := r.Volume.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	for _, right := range []Right{View, Deploy, Operate, Manage} {
		writing.Go(func() {
			for range 20 {
				other := Rights{&Keys{Dir: r.Dir, Volume: r.Volume}}
				if err := other.Grant(blog, "carol", right); err != nil {
					t.Error(err)
				}
				if !r.may(people["carol"], View, "blog") {
					t.Error("she may do nothing in between")
				}
			}
		})
	}
	writing.Wait()
}

// Keys of a version that knew no rights can do what they could: with the apps that there were.
func TestMigrate(t *testing.T) {
	r, people := someRights(t)
	if err := os.RemoveAll(filepath.Join(r.Dir, grantsFolder)); err != nil {
		t.Fatal(err)
	}
	bob := sshkey.New(t)
	if err := os.WriteFile(filepath.Join(r.Dir, "keys", "bob"), lineOf(bob), 0o600); err != nil {
		t.Fatal(err)
	}
	who, _, err := r.Lookup(bob.PublicKey(), people["bob"].From)
	if err != nil {
		t.Fatal(err)
	}
	if !r.may(who, Manage, "blog") {
		t.Error("not before it was migrated, such as on a full disk")
	}
	var log bytes.Buffer
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		if err := r.Migrate(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "members=bob"); n != 1 || !strings.Contains(log.String(), `apps="blog shop"`) {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if !r.may(who, Manage, "shop") {
		t.Error("lost what it could do")
	}
	if _, err := r.Volume.Create("later"); err != nil {
		t.Fatal(err)
	}
	if r.may(who, View, "later") {
		t.Error("sees an app that was made later")
	}
	if r.may(people["carol"], View, "blog") {
		t.Error("a guest sees it")
	}
}

// The first grant of a new version does not take from others what they could do.
func TestFirstGrantMigrates(t *testing.T) {
	r, _ := someRights(t)
	if err := os.RemoveAll(filepath.Join(r.Dir, grantsFolder)); err != nil {
		t.Fatal(err)
	}
	members := map[string]Identity{}
	for _, name := range []string{"bob", "eve"} {
		key := sshkey.New(t)
		if err := os.WriteFile(filepath.Join(r.Dir, "keys", name), lineOf(key), 0o600); err != nil {
			t.Fatal(err)
		}
		members[name] = Identity{Name: name, Key: gossh.FingerprintSHA256(key.PublicKey())}
	}
	if _, err := r.Create(members["eve"], "new"); err != nil {
		t.Fatal(err)
	}
	if !r.may(members["bob"], Manage, "blog") {
		t.Error("bob lost what he could do")
	}
	if r.may(members["bob"], View, "new") {
		t.Error("bob sees the new app")
	}
}

// An app without an identity, or with one that is none, is there for admins only.
func TestLostIdentity(t *testing.T) {
	r, people := someRights(t)
	r.mustGrant(t, "blog", "carol", Manage)
	blog, err := r.Volume.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	r.Log = slog.New(slog.DiscardHandler)
	for _, id := range []string{"", "../keys", "a/b"} {
		if err := os.WriteFile(filepath.Join(blog.Dir(), "id"), []byte(id), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Admit(people["carol"], View, "blog"); !errors.Is(err, volume.ErrNoApp) {
			t.Errorf("%q: %v", id, err)
		}
		if !r.may(people["alice"], Manage, "blog") {
			t.Errorf("%q: an admin may not manage it", id)
		}
		if err := r.Grant(blog, "carol", View); err == nil {
			t.Errorf("%q: granted", id)
		}
		if r.Sweep() == nil {
			t.Errorf("%q: grants were swept", id)
		}
	}
}

// An app that cannot be made leaves its name free.
func TestCreateNeedsItsGrant(t *testing.T) {
	r, people := someRights(t)
	if err := r.SetRole("carol", Member); err != nil {
		t.Fatal(err)
	}
	grants := filepath.Join(r.Dir, grantsFolder)
	if err := os.RemoveAll(grants); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(grants, nil, 0o600); err != nil { // nothing can be stored
		t.Fatal(err)
	}
	if _, err := r.Create(people["carol"], "new"); err == nil {
		t.Error("made without its grant")
	}
	if _, err := r.Volume.App("new"); !errors.Is(err, volume.ErrNoApp) {
		t.Errorf("there is an app that its maker cannot see: %v", err)
	}
	if err := os.Remove(grants); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(people["carol"], "new"); err != nil {
		t.Error(err)
	}
	if !r.may(people["carol"], Manage, "new") {
		t.Error("its maker does not manage it")
	}
	if _, err := r.Create(people["carol"], "blog"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := r.Create(people["dave"], "other"); !errors.Is(err, volume.ErrNoApp) {
		t.Errorf("by a guest: %v", err)
	}
}
