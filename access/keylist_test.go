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
