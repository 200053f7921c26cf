package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCheckDomain(t *testing.T) {
	for name, ok := range map[string]bool{
		"example.com": true, "www.example.com": true, "*.example.com": true, "xn--bcher-kva.example": true,
		"a-b.c1.example": true, "1.example": true,
		"": false, "example": false, "*": false, "*.com.": false, "a.*.example": false, "-a.example": false,
		"a_b.example": false, "127.0.0.1": false, "Example.com": false, "a..example": false,
		"../example.com": false, "a/b.example": false, "example.com\n": false, "www.example.com:80": false,
		strings.Repeat("a.", 127) + "example": false, strings.Repeat("a", 64) + ".example": false,
	} {
		if err := CheckDomain(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// claim is what domains:add does: it claims the domain in the app's turn, and writes it down.
func claim(t *testing.T, a App, name string) error {
	t.Helper()
	done, err := a.Turn(context.Background(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if err := a.ClaimDomain(name, notShared); err != nil {
		return err
	}
	w, err := a.Wanted()
	if err != nil {
		t.Fatal(err)
	}
	w.Names.Domains = append(w.Names.Domains, name)
	return a.SetWanted(w)
}

func notShared(string) bool { return false }

func create(t *testing.T, v *Volume, name string) App {
	t.Helper()
	a, err := v.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A domain has one owner. It is free again when the owner gives it up or is destroyed.
func TestClaimDomain(t *testing.T) {
	v := testVolume(t)
	blog, shop := create(t, v, "blog"), create(t, v, "shop")
	if err := claim(t, blog, "a.example"); err != nil {
		t.Fatal(err)
	}
	if err := blog.ClaimDomain("a.example", notShared); err != nil {
		t.Errorf("again: %v", err)
	}
	var taken *DomainTaken
	if err := claim(t, shop, "a.example"); !errors.As(err, &taken) || taken.Owner != "blog" {
		t.Errorf("another app: %v", err)
	}
	if err := shop.ReleaseDomain("a.example"); err != nil {
		t.Error(err)
	}
	if err := claim(t, shop, "a.example"); !errors.As(err, &taken) {
		t.Errorf("after another app gave it up: %v", err)
	}
	journal, err := v.Rename(blog, "journal")
	if err != nil {
		t.Fatal(err)
	}
	if err := claim(t, shop, "a.example"); !errors.As(err, &taken) || taken.Owner != "journal" {
		t.Errorf("after a rename: %v", err)
	}
	if err := v.Destroy(journal); err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(v.domains()); len(names) > 0 {
		t.Error("a destroyed app still has its domain")
	}
	if err := claim(t, shop, "a.example"); err != nil {
		t.Errorf("after its owner is gone: %v", err)
	}
	if err := claim(t, create(t, v, "journal"), "a.example"); !errors.As(err, &taken) || taken.Owner != "shop" {
		t.Errorf("a new app of that name: %v", err)
	}
}

// What is below an app's wildcard, at any depth, is that app's, unless its owner shares it. Nobody gets a
// wildcard above names of others either. What an app has already stays.
func TestClaimBelowWildcard(t *testing.T) {
	v := testVolume(t)
	blog, shop := create(t, v, "blog"), create(t, v, "shop")
	for _, name := range []string{"*.site.example", "www.site.example", "site.example"} {
		if err := claim(t, blog, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := claim(t, shop, "pay.shop.example"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		app             App
		name, owner, by string
	}{
		{shop, "pay.site.example", "blog", "*.site.example"},
		{shop, "a.b.site.example", "blog", "*.site.example"},
		{shop, "*.b.site.example", "blog", "*.site.example"},
		{blog, "*.shop.example", "shop", "pay.shop.example"},
	} {
		var taken *DomainTaken
		if err := claim(t, c.app, c.name); !errors.As(err, &taken) || *taken != (DomainTaken{c.name, c.owner, c.by}) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, name := range []string{"xsite.example", "example.site", "shop.example"} {
		if err := claim(t, shop, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	asked := ""
	share := func(owner string) bool {
		asked = owner
		return true
	}
	if err := shop.ClaimDomain("pay.site.example", share); err != nil || asked != "blog" {
		t.Errorf("shared: %v, of %q", err, asked)
	}
	if err := claim(t, shop, "pay.site.example"); err != nil {
		t.Errorf("what it has already: %v", err)
	}
	if err := v.Destroy(blog); err != nil {
		t.Fatal(err)
	}
	if err := claim(t, shop, "*.site.example"); err != nil {
		t.Errorf("after the owner is gone: %v", err)
	}
}

// Of many who want a domain at once, one gets it, at whatever moment the turn of that one ends.
func TestClaimDomainAtOnce(t *testing.T) {
	v := testVolume(t)
	apps := []App{create(t, v, "a"), create(t, v, "b"), create(t, v, "c"), create(t, v, "d")}
	for round := range 50 {
		domain := fmt.Sprintf("%d.example", round)
		var all sync.WaitGroup
		won := make(chan string, len(apps))
		for _, app := range apps {
			all.Go(func() {
				if claim(t, app, domain) == nil {
					won <- app.Name
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d apps got it", round, len(won))
		}
	}
}

// A claim that was cut off before it was written down is void once the turn is over.
func TestClaimCutOff(t *testing.T) {
	v := testVolume(t)
	blog, shop := create(t, v, "blog"), create(t, v, "shop")
	done, err := blog.Turn(context.Background(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := blog.ClaimDomain("a.example", notShared); err != nil {
		t.Fatal(err)
	}
	var taken *DomainTaken
	if err := shop.ClaimDomain("a.example", notShared); !errors.As(err, &taken) {
		t.Errorf("while the other is at it: %v", err)
	}
	done()
	if err := claim(t, shop, "a.example"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := claim(t, blog, "a.example"); !errors.As(err, &taken) || taken.Owner != "shop" {
		t.Errorf("the first one: %v", err)
	}
}

func TestMatchDomain(t *testing.T) {
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"a.example", "a.example", true}, {"a.example", "b.example", false},
		{"*.example.com", "a.example.com", true}, {"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", false}, {"*.example.com", "*.example.com", false},
	} {
		if got := MatchDomain(c.name, c.host); got != c.want {
			t.Errorf("%s, %s: %v", c.name, c.host, got)
		}
	}
}

// The state of a wildcard's certificate is that of each name below it, unless the name has a valid
// one of its own.
func TestCertificate(t *testing.T) {
	v := testVolume(t)
	now := time.Now().UTC().Truncate(time.Second)
	valid := Certificate{Issuer: "ca", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	failed := Certificate{Error: "no", Tried: now}
	if _, ok := v.Certificate("a.example.com"); ok {
		t.Error("there is one before any was recorded")
	}
	set := func(name string, c Certificate) {
		t.Helper()
		if err := v.SetCertificate(name, c); err != nil {
			t.Fatal(err)
		}
	}
	set("a.example.com", failed)
	if c, ok := v.Certificate("a.example.com"); !ok || c != failed {
		t.Errorf("%+v %v", c, ok)
	}
	set("*.example.com", valid)
	if c, ok := v.Certificate("a.example.com"); !ok || c != valid {
		t.Errorf("with a wildcard: %+v %v", c, ok)
	}
	set("*.example.com", Certificate{})
	set("*.example.com", Certificate{})
	if c, _ := v.Certificate("a.example.com"); c != failed {
		t.Errorf("without the wildcard: %+v", c)
	}
	if err := v.ForgetCertificates(); err != nil {
		t.Error(err)
	}
	if _, ok := v.Certificate("a.example.com"); ok {
		t.Error("forgotten, and there is one")
	}
}
