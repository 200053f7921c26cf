package access

import (
	"strings"
	"testing"

	"paas/rig/sshkey"
)

// A key that is given again is not added again. Keys are named after their comments.
func TestAddWithoutName(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	line := func(comment string) string { return keyLine(sshkey.New(t).PublicKey()) + comment + "\n" }
	text := "# ours\n\n" + line(" Alice@Laptop") + line("") + line(" alice@laptop") + line(" ../../etc")
	added, err := k.Add(text, Adding{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, key := range added {
		names = append(names, key.Name)
	}
	if got := strings.Join(names, " "); got != "alice@laptop key-1 alice@laptop-key-1 etc" {
		t.Errorf("names %q", got)
	}
	if added[0].Role != Admin {
		t.Error("the first key is not an admin")
	}
	if added[1].Role == Admin {
		t.Error("the second key is an admin")
	}
	if again, err := k.Add(text, Adding{}); err != nil || len(again) != 0 {
		t.Errorf("again: %v %v", again, err)
	}
	added, err = k.Add("nonsense\n"+line(" bob"), Adding{})
	if err == nil || !strings.Contains(err.Error(), "line 1:") || len(added) != 1 {
		t.Errorf("%v, %v", added, err)
	}
}

// All keys of an authorized_keys file are one person's. A bad line adds none.
func TestAddSeveral(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	line := func(comment string) string { return keyLine(sshkey.New(t).PublicKey()) + comment + "\n" }
	one := line(" alice@laptop")
	text := "# mine\n\n" + one + line(" alice@desk") + one
	alice := Adding{Name: "alice"}
	if added, err := k.Add(text+"nonsense\n", alice); err == nil || !strings.Contains(err.Error(), "line 6:") || len(added) > 0 {
		t.Errorf("with a bad line: %v, %v", added, err)
	}
	if added, err := k.Add(text, alice); err != nil || len(added) != 2 {
		t.Errorf("two keys: %v, %v", added, err)
	}
	if added, err := k.Add(text+line(" alice@phone"), alice); err != nil || len(added) != 1 {
		t.Errorf("one more: %v, %v", added, err)
	}
	keys, err := k.List()
	if err != nil || len(keys) != 3 {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, key := range keys {
		if key.Name != "alice" || key.Role != Admin {
			t.Errorf("%s's key, a key of a %s", key.Name, key.Role)
		}
	}
	if err := k.Remove(keys[0].Fingerprint); err != nil {
		t.Error(err)
	}
	left, err := k.List()
	if err != nil || len(left) != 2 || left[0].Fingerprint == keys[0].Fingerprint {
		t.Errorf("left: %+v, %v", left, err)
	}
	bob := addLine(t, k, Adding{Name: "bob"}, "# his\n"+line(""))
	if err := k.Remove(bob.Fingerprint); err != nil {
		t.Error(err)
	}
	if err := k.Remove("alice"); err == nil || !strings.Contains(err.Error(), "last admin") {
		t.Errorf("remove the last admin: %v", err)
	}
	if _, err := k.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END\n", Adding{Name: "eve"}); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("a private key: %v", err)
	}
}

// A role is that of a person, and holds for all keys, those that are added later too.
func TestRoles(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	line := func() string { return keyLine(sshkey.New(t).PublicKey()) + "\n" }
	addLine(t, k, Adding{Name: "alice", Role: Guest}, line())
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { _, err := k.Add(line(), Adding{Name: "carol"}); return err }, "admin member"},
		{func() error { return k.SetRole("carol", Guest) }, "admin guest"},
		{func() error { _, err := k.Add(line(), Adding{Name: "carol"}); return err }, "admin guest guest"},
		{func() error { _, err := k.Add(line(), Adding{Name: "carol", Role: Admin}); return err }, "admin guest guest guest"},
		{func() error { return k.SetRole("carol", Admin) }, "admin admin admin admin"},
		{func() error { return k.SetRole("alice", Member) }, "member admin admin admin"},
	} {
		if err := step.do(); err != nil {
			t.Error(err)
		}
		keys, err := k.List()
		if err != nil {
			t.Fatal(err)
		}
		var roles []string
		for _, key := range keys {
			roles = append(roles, key.Role.String())
		}
		if got := strings.Join(roles, " "); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
	if err := k.SetRole("carol", Guest); err == nil || !strings.Contains(err.Error(), "last admin") {
		t.Errorf("the last admin became a guest: %v", err)
	}
	if err := k.SetRole("nobody", Guest); err == nil {
		t.Error("nobody has a role")
	}
}
