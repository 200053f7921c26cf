package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/config"
	"paas/doctor"
	"paas/volume"
)

// A clock that differs from the authority's by more than a minute is a fault.
func TestDoctorFindsWrongClock(t *testing.T) {
	var off time.Duration
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
	}))
	defer authority.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPaas(&config.Config{
		Root: t.TempDir(), Domain: "apps.test", HTTPSAddr: ":443",
		ACME: config.ACME{Authorities: []string{authority.URL}, Roots: roots},
	})
	e := &examination{p, t.Context(), true}
	for change, want := range map[time.Duration]string{
		10 * time.Second: "", time.Hour: "behind", -time.Hour: "ahead",
	} {
		off = change
		v := e.clock()
		if (v.level == doctor.Fault) != (want != "") || !strings.Contains(v.problem, want) || want != "" && v.remedy == "" {
			t.Errorf("with a difference of %v: %+v", change, v)
		}
	}
}

// Certificates that end soon are a fault, unless they are renewed in time.
func TestDoctorFindsCertificates(t *testing.T) {
	p := newPaas(&config.Config{Root: t.TempDir(), Domain: "apps.test"})
	if err := p.vol.Open(); err != nil {
		t.Fatal(err)
	}
	defer p.vol.Close()
	e := &examination{p, t.Context(), true}
	const day = 24 * time.Hour
	valid := func(before, after time.Duration) volume.Certificate {
		now := time.Now()
		return volume.Certificate{Issuer: "ca", NotBefore: now.Add(-before), NotAfter: now.Add(after)}
	}
	own := func(c volume.Certificate) volume.Certificate { c.Own = true; return c }
	failed := func(c volume.Certificate) volume.Certificate { c.Error = "no answer"; return c }
	for _, c := range []struct {
		state volume.Certificate
		want  string // a part of the problem; empty: there is none
	}{
		{valid(day, 89*day), ""},
		{failed(valid(70*day, 20*day)), ""}, // it is tried again
		{valid(5*day, 2*day), ""},           // of the kind that lasts a week
		{failed(valid(88*day, 2*day)), "expires in 47 hours"},
		{failed(valid(91*day, -day)), "expired at"},
		{own(valid(70*day, 30*day)), ""},
		{own(valid(70*day, 20*day)), "your certificate for www.example.test expires in 479 hours"},
		{own(valid(91*day, -day)), "expired at"},
		{volume.Certificate{Trying: true}, ""},
		{volume.Certificate{Error: "no address"}, "has no certificate: no address"},
	} {
		if err := p.vol.SetCertificate("www.example.test", c.state); err != nil {
			t.Fatal(err)
		}
		v := e.certificates()
		if (v.level == doctor.Fault) != (c.want != "") || !strings.Contains(v.problem, c.want) || c.want != "" && v.remedy == "" {
			t.Errorf("%+v: %+v, want %q", c.state, v, c.want)
		}
	}
}
