package remote

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A pattern leads to the newest version, whether its tag is annotated or not.
func TestTag(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commits := map[string]string{}
	for _, tag := range []string{"v1.9.0", "v1.10.0", "v2.0.0-rc.1", "v2", "stable", "nightly",
		"api/v0.3", "release-7", "ünï+1"} {
		commits[tag] = r.commit("main", map[string]string{"a": tag})
		if tag == "v1.10.0" {
			r.git("", "tag", "-a", "-m", "x", tag, "main")
		} else {
			r.git("", "tag", tag, "main")
		}
	}
	r.commit("main", map[string]string{"a": "later"})
	for way, remote := range remotesOf(t, root) {
		t.Run(way, func(t *testing.T) {
			c := newClient(t)
			for _, test := range []struct{ pattern, want, words string }{
				{pattern: "v1.*", want: "v1.10.0"},
				{pattern: "v*", want: "v2"},
				{pattern: "v2.*", want: "v2.0.0-rc.1"},
				{pattern: "*", want: "release-7"},
				{pattern: "api/*", want: "api/v0.3"},
				{pattern: "stable", want: "stable"},
				{pattern: "v1.9.0", want: "v1.9.0"},
				{pattern: "ünï+?", want: "ünï+1"},
				{pattern: "[sn]*", words: "none of the tags that match [sn]* is a version such as " +
					"v1.2.3: nightly, stable; name one"},
				{pattern: "x*", words: "no tag of the repository matches x*"},
				{pattern: "v[", words: "is not a pattern for tags"},
				{pattern: "v\n*", words: "is not a pattern for tags"},
			} {
				got, err := c.Head(t.Context(), remote("repo.git"), Ref{Tag: test.pattern})
				if got != (Head{test.want, commits[test.want]}) {
					t.Errorf("%s: %v, %v", test.pattern, got, err)
				}
				if test.words != "" && (err == nil || !strings.Contains(err.Error(), test.words)) {
					t.Errorf("%s: %v", test.pattern, err)
				}
			}
			dir := filepath.Join(t.TempDir(), "x.git")
			commit, err := c.Fetch(t.Context(), remote("repo.git"), Ref{Tag: "v*"}, dir)
			if commit != commits["v2"] {
				t.Errorf("fetched %s: %v", commit, err)
			}
		})
	}
}

// A commit is fetched by its name, also one that no branch points at.
func TestFetchCommit(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	first := r.commit("main", map[string]string{"a": "1"})
	r.commit("main", map[string]string{"a": "2"})
	for way, remote := range remotesOf(t, root) {
		if strings.Contains(way, "v0") {
			continue // servers this old send only what a reference points at
		}
		t.Run(way, func(t *testing.T) {
			c := newClient(t)
			dir := filepath.Join(t.TempDir(), "x.git")
			commit, err := c.Fetch(t.Context(), remote("repo.git"), Ref{Commit: first}, dir)
			if err != nil || commit != first {
				t.Fatalf("fetched %s: %v", commit, err)
			}
			if got := read(t, dir, first)["a"]; got != "1" {
				t.Errorf("a is %q", got)
			}
			_, err = c.Fetch(t.Context(), remote("repo.git"), Ref{Commit: strings.Repeat("1", 40)}, dir)
			if !errors.Is(err, ErrNoCommit) {
				t.Error(err)
			}
			_, err = c.Fetch(t.Context(), remote("repo.git"), Ref{Commit: first[:7]}, dir)
			if err == nil || !strings.Contains(err.Error(), "write all 40 digits") {
				t.Error(err)
			}
		})
	}
}
