package access

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"paas/rig/sshkey"
)

// The patterns of from= mean what they mean to sshd (PATTERNS in ssh_config(5)).
func TestFrom(t *testing.T) {
	for _, tt := range []struct {
		list, addr string
		want       bool
	}{
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"10.0.0.0/8,192.0.2.*", "192.0.2.77", true},
		{"10.0.0.0/8", "10.200.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"*", "2001:db8::1", true},
		{"2001:DB8::/32", "2001:db8:7::1", true},
		{"2001:db8:0::1", "2001:db8::1", true},
		{"2001:db8::?", "2001:db8::7", true},
		{"10.0.0.*,!10.0.0.7", "10.0.0.8", true},
		{"10.0.0.*,!10.0.0.7", "10.0.0.7", false},
		{"!10.0.0.7", "10.0.0.8", false},
		{"*,!::ffff:10.0.0.0/104", "10.0.0.7", false},
		{"::ffff:10.0.0.0/104", "10.0.0.7", true},
		{"::ffff:10.0.0.0/104", "11.0.0.7", false},
		{"*,!2001:DB8::*", "2001:db8::7", false},
	} {
		if err := checkPatterns(tt.list); err != nil {
			t.Errorf("%s: %v", tt.list, err)
		}
		if got := allows(tt.list, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("from %s with %s: %v", tt.addr, tt.list, got)
		}
	}
}

// Without an address no pattern can tell whether it is one that is let in.
func TestFromWithoutAddress(t *testing.T) {
	if err := (options{from: "*,!10.0.0.0/8"}).usable(netip.Addr{}); err == nil {
		t.Error("let in")
	}
}

func TestExpiryTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"20270131":        time.Date(2027, 1, 31, 0, 0, 0, 0, time.Local),
		"20270131Z":       time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		"202701312359z":   time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC),
		"20270131235958Z": time.Date(2027, 1, 31, 23, 59, 58, 0, time.UTC),
	} {
		if got, err := parseExpiry(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

// Options survive in the key's file, and count for each login.
func TestOptionsCount(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	mustAdd(t, k, "alice", sshkey.New(t))
	bob, carol := sshkey.New(t), sshkey.New(t)
	addLine(t, k, Adding{Name: "bob", Role: Guest}, `from="192.0.2.0/24",expiry-time="30000101Z" `+string(lineOf(bob)))
	addLine(t, k, Adding{Name: "carol", Expires: time.Now()}, string(lineOf(carol)))
	for _, tt := range []struct{ name, from, want string }{
		{"bob", "192.0.2.1", ""},
		{"bob", "192.0.3.1", "your key may not be used from 192.0.3.1"},
		{"carol", "192.0.2.1", "your key expired at "},
	} {
		key := bob.PublicKey()
		if tt.name == "carol" {
			key = carol.PublicKey()
		}
		who, _, err := k.Lookup(key, netip.MustParseAddr(tt.from))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if who.Name != tt.name || !strings.HasPrefix(got, tt.want) || got != "" && tt.want == "" {
			t.Errorf("%s from %s: %q, want %q", tt.name, tt.from, got, tt.want)
		}
	}
}
