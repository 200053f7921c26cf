package access

import (
	"strings"
	"testing"

	"paas/rig/sshkey"
)

// A key that is given again is not added again. Keys are named after their comments.
func TestAddAll(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	line := func(comment string) string { return keyLine(sshkey.New(t).PublicKey()) + comment + "\n" }
	text := "# ours\n\n" + line(" Alice@Laptop") + line("") + line(" alice@laptop") + line(" ../../etc")
	added, err := k.AddAll(text)
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
	if !added[0].Admin {
		t.Error("the first key is not an admin")
	}
	if added[1].Admin {
		t.Error("the second key is an admin")
	}
	if again, err := k.AddAll(text); err != nil || len(again) != 0 {
		t.Errorf("again: %v %v", again, err)
	}
	added, err = k.AddAll("nonsense\n" + line(" bob"))
	if err == nil || !strings.Contains(err.Error(), "line 1:") || len(added) != 1 {
		t.Errorf("%v, %v", added, err)
	}
}

// The keys of an authorized_keys file get numbered names. A bad line adds none.
func TestAddFile(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	line := func(comment string) string { return keyLine(sshkey.New(t).PublicKey()) + comment + "\n" }
	one := line(" alice@laptop")
	text := "# mine\n\n" + one + line(" alice@desk") + one
	if added, err := k.AddFile("alice", text+"nonsense\n", false); err == nil || !strings.Contains(err.Error(), "line 6:") || len(added) > 0 {
		t.Errorf("with a bad line: %v, %v", added, err)
	}
	names := func(added []Key) string {
		var all []string
		for _, key := range added {
			all = append(all, key.Name)
		}
		return strings.Join(all, " ")
	}
	if added, err := k.AddFile("alice", text, false); err != nil || names(added) != "alice alice-2" {
		t.Errorf("%s, %v", names(added), err)
	}
	if added, err := k.AddFile("alice", text+line(" alice@phone"), true); err != nil || names(added) != "alice-3" || !added[0].Admin {
		t.Errorf("one more: %+v, %v", added, err)
	}
	if added, err := k.AddFile("bob", "# his\n"+line(""), false); err != nil || names(added) != "bob" {
		t.Errorf("one key: %s, %v", names(added), err)
	}
	if _, err := k.AddFile("bob", line(""), false); err == nil {
		t.Error("a second key took a name that is taken")
	}
	if _, err := k.AddFile("eve", "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END\n", false); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("a private key: %v", err)
	}
}
