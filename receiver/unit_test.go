package receiver

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/frame"
	"paas/volume"
)

func TestDeployBranch(t *testing.T) {
	for _, test := range []struct {
		set, live, want string
		there, pushed   []string
	}{
		{want: "main"},
		{set: "prod", live: "main", there: []string{"main"}, want: "prod"},
		{live: "master", there: []string{"main"}, want: "master"},
		{live: "feature", want: "main"},
		{there: []string{"master"}, pushed: []string{"main"}, want: "master"},
		{pushed: []string{"master"}, want: "master"},
		{pushed: []string{"main", "master"}, want: "main"},
	} {
		if got := deployBranch(test.set, test.live, test.there, test.pushed); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestNext(t *testing.T) {
	ready := candidate{n: 2, commit: "b", state: volume.Ready}
	committed := ready
	committed.committed = true
	cancelled := ready
	cancelled.cancelled = true
	failed := candidate{n: 2, commit: "b", committed: true, state: volume.Failed}
	building := candidate{n: 2, commit: "b", state: volume.Building}
	for name, test := range map[string]struct {
		view
		want move
	}{
		"nothing at all":           {view{}, move{rest, 0}},
		"agree":                    {view{ref: "a", live: 1, liveCommit: "a"}, move{rest, 0}},
		"rolled back":              {view{ref: "b", live: 1, liveCommit: "a"}, move{turn, 1}},
		"branch without a release": {view{ref: "a"}, move{turn, 0}},
		"branch lost":              {view{live: 1, liveCommit: "a"}, move{turn, 1}},
		"made of no commit":        {view{ref: "b", live: 1}, move{rest, 0}},
		"git moved, then cut off":  {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{ready}}, move{commit, 2}},
		"first push, then cut off": {view{ref: "b", after: []candidate{ready}}, move{commit, 2}},
		"ready, git has not moved": {view{ref: "a", live: 1, liveCommit: "a", after: []candidate{ready}}, move{cancel, 2}},
		"the live commit again":    {view{ref: "b", live: 1, liveCommit: "b", after: []candidate{ready}}, move{cancel, 2}},
		"abandoned in its build":   {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{building}}, move{cancel, 2}},
		"abandoned while it proves itself": {
			view{ref: "a", live: 1, liveCommit: "a", after: []candidate{{n: 2, commit: "b", state: volume.Proving}}}, move{cancel, 2},
		},
		"on its way":                {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{committed}}, move{await, 2}},
		"spoilt":                    {view{ref: "a", live: 1, liveCommit: "a", spoilt: true}, move{back, 1}},
		"on its way, in place":      {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{{n: 2, commit: "b", committed: true, onlyFiles: true, state: volume.Ready}}}, move{place, 2}},
		"committed, then failed":    {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{failed}}, move{turn, 1}},
		"cancelled, not yet seen":   {view{ref: "a", live: 1, liveCommit: "a", after: []candidate{cancelled}}, move{rest, 0}},
		"cancelled, branch is past": {view{ref: "b", live: 1, liveCommit: "a", after: []candidate{cancelled}}, move{turn, 1}},
	} {
		if got := test.next(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// If nobody listens at the socket, the push is refused with what to do.
func TestHookWithoutServer(t *testing.T) {
	var out bytes.Buffer
	status := Hook(preReceive, strings.NewReader(""), &out, socketEnv+"=/nonexistent")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	contains(t, out.String(), " !     the server stopped; nothing changed, push again")
}

func TestReadCallBounds(t *testing.T) {
	var in bytes.Buffer
	for range maxLines + 1 {
		frame.Write(&in, frameLine, []byte("x"))
	}
	frame.Write(&in, frameEnd, nil)
	if c, err := readCall(&in); !errors.Is(err, errTooMuch) || len(c.lines) != maxLines {
		t.Errorf("%d lines, %v", len(c.lines), err)
	}
}

func FuzzHookLine(f *testing.F) {
	a, b := strings.Repeat("a", 40), strings.Repeat("0", 40)
	for _, seed := range []string{a + " " + b + " refs/heads/main", b + " " + a + " refs/stash", a + " " + b + " refs", a + " " + b + " ",
		a + " " + b + " refs/heads/../x", a + " " + b + " refs//x", strings.Repeat("a", 64) + " " + strings.Repeat("b", 64) + " refs/tags/v1",
		a + " " + b + " refs/heads/ma\x00in", a + "  " + b + " refs/heads/main", "", "\n", a + " " + b + " HEAD"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		u, err := parseLine(line)
		if err != nil {
			return
		}
		if !strings.HasPrefix(u.ref, "refs/") || strings.ContainsAny(u.ref, " \n\x00\x1b") ||
			!strings.HasSuffix(line, " "+u.ref) {
			t.Errorf("%q: %+v", line, u)
		}
		for _, rev := range []string{u.old, u.new} {
			if rev != "" && len(rev) != 40 && len(rev) != 64 ||
				strings.Trim(rev, "0123456789abcdef") != "" {
				t.Errorf("%q: %+v", line, u)
			}
		}
		if u.delete != (u.new == "") {
			t.Errorf("%q: %+v", line, u)
		}
		_, refused := judge(
			[]update{u}, "main", "app", func(r volume.Remedy) string { return string(r.Do) },
		)
		if len(refused) == 0 &&
			u.ref != "refs/heads/main" {
			t.Errorf("%q deploys", line)
		}
	})
}

func FuzzCall(f *testing.F) {
	var seed bytes.Buffer
	frame.Write(&seed, frameToken, []byte("token"))
	frame.Write(&seed, frameEnd, nil)
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := readCall(bytes.NewReader(in))
		if len(c.lines) > maxLines || len(c.env) > maxEnv {
			t.Errorf("%d lines and %d variables kept, %v", len(c.lines), len(c.env), err)
		}
	})
}

// An app that a failing push made stays if a person has given it anything meanwhile.
func TestAppWithAnythingStays(t *testing.T) {
	for name, give := range map[string]func(volume.App) error{
		"nothing":   nil,
		"formation": func(a volume.App) error { return a.SetWanted(volume.Wanted{Formation: map[string]int{"web": 2}}) },
		"limits": func(a volume.App) error {
			return a.SetWanted(volume.Wanted{Limits: map[string]volume.Limits{"": {Memory: 1 << 20}}})
		},
		"sleep":  func(a volume.App) error { return a.SetWanted(volume.Wanted{Sleep: time.Minute}) },
		"grace":  func(a volume.App) error { return a.SetWanted(volume.Wanted{Grace: time.Minute}) },
		"folder": func(a volume.App) error { return a.SetSettings(volume.Settings{BuildDir: "api"}) },
		"source": func(a volume.App) error { return a.SetSource(volume.Source{URL: "https://example.com/a.git"}) },
	} {
		s := newServer(t)
		app, err := s.enter("blog", everybody{s.Volume})
		if err == nil && give != nil {
			err = give(app)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.exit(app)
		if app.Exists() != (give != nil) {
			t.Errorf("given %s: the app is there: %v", name, app.Exists())
		}
	}
}

// A torn deploy branch points at what is live as soon as it is repaired: a push may begin at any
// moment, and must not be told that there is no branch.
func TestRepairedBranch(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	left(t, s, "blog")
	app := s.app("blog")
	done, err := app.Turn(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	repo := s.repo(app)
	err = os.WriteFile(filepath.Join(repo.Dir, "refs", "heads", "main"), nil, 0o644)
	if err == nil {
		err = s.Receiver.repair(app, repo)
	}
	if err != nil {
		t.Fatal(err)
	}
	if ref, want := s.ref("blog", "refs/heads/main"), c.git("rev-parse", "HEAD"); ref != want {
		t.Errorf("main is at %q, not %s", ref, want)
	}
}
