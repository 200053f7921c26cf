package sidecar

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/volume"
)

func newVolume(t *testing.T) *volume.Volume {
	t.Helper()
	v := &volume.Volume{Root: t.TempDir()}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func TestFixed(t *testing.T) {
	v := newVolume(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Fixed{App: "blog", URL: "https://host.test/a", Branch: "main", Every: time.Minute,
		Files: map[volume.Credential]string{volume.SourceToken: token}}
	if err := f.Set(v); err != nil {
		t.Fatal(err)
	}
	app, err := v.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := app.Source()
	if err != nil {
		t.Fatal(err)
	}
	if s.URL != f.URL || s.Branch != f.Branch || s.Every != f.Every || !s.ByEnvironment {
		t.Errorf("the source is %+v", s)
	}
	if kept, err := v.Credentials("blog").
		Get(volume.SourceToken); string(kept) != "s3cret" ||
		err != nil {
		t.Errorf("the token is %q, %v", kept, err)
	}

	f.Files = nil
	if err := f.Set(v); err != nil {
		t.Fatal(err)
	}
	if kept, err := v.Credentials("blog").Get(volume.SourceToken); kept != nil || err != nil {
		t.Errorf("the token that the settings no longer name is %q, %v", kept, err)
	}
}

// The settings can name a tag or a commit, in place of a branch.
func TestFixedRef(t *testing.T) {
	v := newVolume(t)
	commit := strings.Repeat("1", 40)
	for _, test := range []struct {
		fixed Fixed
		wrong string
	}{
		{Fixed{Tag: "v*"}, ""},
		{Fixed{Commit: commit}, ""},
		{Fixed{Tag: "v["}, "tag"},
		{Fixed{Commit: "1111111"}, "commit"},
		{Fixed{Branch: "a..b"}, "branch"},
		{Fixed{Branch: "main", Tag: "v*"}, "tag"},
	} {
		f := test.fixed
		f.App, f.URL = "blog", "https://host.test/a"
		err := f.Set(v)
		var wrong *FixedError
		if errors.As(err, &wrong) && wrong.Field != test.wrong || wrong == nil && test.wrong != "" {
			t.Errorf("%+v: %v", test.fixed, err)
		}
		if test.wrong != "" {
			continue
		}
		app, err := v.App("blog")
		if err != nil {
			t.Fatal(err)
		}
		if s, _, _ := app.Source(); s.Tag != f.Tag || s.Commit != f.Commit {
			t.Errorf("%+v: the source is %+v", test.fixed, s)
		}
	}
}

func TestFixedEndsOthers(t *testing.T) {
	v := newVolume(t)
	for _, app := range []string{"old", "new"} {
		if err := (Fixed{App: app, URL: "https://host.test/a"}).Set(v); err != nil {
			t.Fatal(err)
		}
	}
	byHand, err := v.Create("hand")
	if err != nil {
		t.Fatal(err)
	}
	if err := byHand.SetSource(volume.Source{URL: "https://host.test/b"}); err != nil {
		t.Fatal(err)
	}
	follows := func(want ...bool) {
		t.Helper()
		for i, name := range []string{"old", "new", "hand"} {
			app, err := v.App(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := app.Source(); ok != want[i] || err != nil {
				t.Errorf("%s follows a source: %v, %v", name, ok, err)
			}
		}
	}
	if err := (Fixed{App: "new", URL: "https://host.test/a"}).EndOthers(v); err != nil {
		t.Fatal(err)
	}
	follows(false, true, true)
	if err := (Fixed{}).EndOthers(v); err != nil {
		t.Fatal(err)
	}
	follows(false, false, true)
}

func TestFixedErrors(t *testing.T) {
	v := newVolume(t)
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "https://host.test/a"
	for field, f := range map[string]Fixed{
		"url":        {App: "blog", URL: "ftp://host.test/a"},
		"branch":     {App: "blog", URL: url, Branch: "a..b"},
		"app":        {App: "Blog", URL: url},
		"token_file": {App: "blog", URL: url, Files: map[volume.Credential]string{volume.SourceToken: "/no/such/file"}},
		"key_file":   {App: "blog", URL: url, Files: map[volume.Credential]string{volume.SourceKey: junk}},
	} {
		err := f.Set(v)
		var wrong *FixedError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("a wrong %s: %v", field, err)
		}
	}
}
