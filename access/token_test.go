package access

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig/sshkey"
)

// aToken returns tokens, a token of carol, who is a member, and its secret.
func aToken(t *testing.T) (Tokens, Token, string) {
	t.Helper()
	k := Tokens{&Keys{Dir: t.TempDir()}}
	t.Cleanup(k.uses.writing.Wait)
	mustAdd(t, k.Keys, "alice", sshkey.New(t))
	mustAdd(t, k.Keys, "carol", sshkey.New(t))
	secret, token, err := k.Create(Token{Name: "ci", Owner: "carol", Can: Deploy, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return k, token, secret
}

func lookUp(k Tokens, secret string) error {
	_, err := k.Lookup(secret, netip.Addr{})
	return err
}

func TestTokenStandsForItsOwner(t *testing.T) {
	k, token, secret := aToken(t)
	who, err := k.Lookup(secret, netip.MustParseAddr("192.0.2.1"))
	if want := (Identity{Name: "carol", From: netip.MustParseAddr("192.0.2.1"), Token: token.ID}); err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
}

// Nothing on the disk is of use to a thief.
func TestTokenIsNotStored(t *testing.T) {
	k, token, secret := aToken(t)
	random := strings.Split(secret, "_")[2]
	filepath.WalkDir(k.Dir, func(path string, e fs.DirEntry, err error) error {
		if content, _ := os.ReadFile(path); bytes.Contains(content, []byte(random[:10])) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	info, err := os.Stat(filepath.Join(k.Dir, "tokens", token.ID))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestTokenRefused(t *testing.T) {
	k, token, secret := aToken(t)
	expired, _, err := k.Create(Token{Name: "short", Owner: "carol", Can: Deploy, Expires: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	revoked, other, err := k.Create(Token{Name: "old", Owner: "carol", Can: Deploy, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Revoke(other.ID); err != nil {
		t.Fatal(err)
	}
	random := strings.Repeat("A", 26)
	unknown := "paas_aaaaaaaa_" + random
	guessed := "paas_" + token.ID + "_" + random
	for what, tt := range map[string]struct {
		secret string
		want   error
	}{
		"of another system":    {"ghp_0123456789", ErrTokenWrong},
		"empty":                {"", ErrTokenWrong},
		"of an unknown id":     {unknown + checksum(unknown), ErrTokenWrong},
		"guessed":              {guessed + checksum(guessed), ErrTokenWrong},
		"without its end":      {secret[:len(secret)-1], ErrTokenTruncated},
		"only its beginning":   {"paas_", ErrTokenTruncated},
		"with two letters off": {secret[:20] + string(secret[21]) + string(secret[20]) + secret[22:], ErrTokenTruncated},
		"with a blank":         {secret + " ", ErrTokenTruncated},
		"expired":              {expired, ErrTokenExpired},
		"revoked":              {revoked, ErrTokenRevoked},
	} {
		if secret == tt.secret {
			continue // the two letters are the same
		}
		err := lookUp(k, tt.secret)
		if !errors.Is(err, tt.want) {
			t.Errorf("a token %s: %v", what, err)
		}
		if tt.secret != "" && strings.Contains(err.Error(), tt.secret) {
			t.Errorf("a token %s is repeated: %v", what, err)
		}
	}
}

// A token that was not copied whole is recognised without a look at the disk.
func TestTruncatedTokenNeedsNoDisk(t *testing.T) {
	_, _, secret := aToken(t)
	nowhere := Tokens{&Keys{Dir: "/none/of/the/tests"}}
	if err := lookUp(nowhere, secret[:len(secret)-2]); !errors.Is(err, ErrTokenTruncated) {
		t.Error(err)
	}
}

func TestTokenOfOneWhoLeft(t *testing.T) {
	k, _, secret := aToken(t)
	if err := k.Remove("carol"); err != nil {
		t.Fatal(err)
	}
	if err := lookUp(k, secret); err == nil {
		t.Error("it counts")
	}
	mustAdd(t, k.Keys, "carol", sshkey.New(t)) // another one
	if err := lookUp(k, secret); err == nil {
		t.Error("it counts for another carol")
	}
}

// A token is of no use where its owner's keys are of none.
func TestTokenOfLimitedOwner(t *testing.T) {
	k, _, _ := aToken(t)
	addLine(t, k.Keys, Adding{Name: "dave"}, `from="192.0.2.1" `+string(lineOf(sshkey.New(t))))
	secret, _, err := k.Create(Token{Name: "ci", Owner: "dave", Can: Deploy, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false} {
		if _, err := k.Lookup(secret, netip.MustParseAddr(from)); (err == nil) != want {
			t.Errorf("from %s: %v", from, err)
		}
	}
}

func TestTokenNames(t *testing.T) {
	k, token, _ := aToken(t)
	again := Token{Name: "ci", Owner: "carol", Can: Deploy, Expires: time.Now().Add(time.Hour)}
	if _, _, err := k.Create(again); err == nil {
		t.Error("one owner has two tokens of one name")
	}
	again.Owner = "alice"
	if _, _, err := k.Create(again); err != nil {
		t.Errorf("another owner: %v", err)
	}
	again.Owner = "carol"
	if err := k.Revoke(token.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Create(again); err != nil {
		t.Errorf("after the first was revoked: %v", err)
	}
	again.Name = "../keys/alice"
	if _, _, err := k.Create(again); err == nil {
		t.Error("a path is a name")
	}
	if all, err := k.List("carol"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestLastUse(t *testing.T) {
	k, token, secret := aToken(t)
	if err := lookUp(k, secret); err != nil {
		t.Fatal(err)
	}
	k.uses.writing.Wait()
	if all, err := k.List("carol"); err != nil || len(all) != 1 || time.Since(all[0].Used) > time.Minute {
		t.Errorf("%+v, %v", all, err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(useFile(k.Dir, token.ID), past, past); err != nil {
		t.Fatal(err)
	}
	lookUp(k, secret) // in the same minute
	k.uses.writing.Wait()
	if last := k.uses.last(k.Dir, token.ID); time.Since(last) < time.Minute {
		t.Error("written twice in a minute")
	}
}
