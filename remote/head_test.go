package remote

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestHead(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	first := r.commit("main", map[string]string{"a": "1"})
	other := r.commit("feature/x", map[string]string{"a": "2"})
	odd := r.commit("@ünï/#1+2;", map[string]string{"a": "4"})
	r.commit("feature/xy", map[string]string{"a": "3"})
	r.git("", "tag", "-a", "-m", "x", "v1", "main")
	newRepository(t, root, "empty.git")
	loose := newRepository(t, root, "detached.git")
	loose.git("", "update-ref", "--no-deref", "HEAD",
		loose.commit("main", map[string]string{"a": "1"}))

	for way, remote := range remotesOf(t, root) {
		t.Run(way, func(t *testing.T) {
			c := newClient(t)
			for range 2 { // on a new connection, then on a kept one
				for _, test := range []struct {
					repo, branch string
					want         Head
					err          error
					words        string
				}{
					{"repo.git", "main", Head{"main", first}, nil, ""},
					{"repo.git", "", Head{"main", first}, nil, ""},
					{"repo.git", "feature/x", Head{"feature/x", other}, nil, ""},
					{"repo.git", "@ünï/#1+2;", Head{"@ünï/#1+2;", odd}, nil, ""},
					{"repo.git", "feature", Head{}, ErrNoBranch,
						"no branch feature; it has @ünï/#1+2;, feature/x, feature/xy, main"},
					{"repo.git", "v1", Head{}, ErrIsTag, "v1 is a tag, not a branch"},
					{"repo.git", "a\nb", Head{}, ErrNoBranch, "is not a branch name"},
					{"empty.git", "", Head{}, ErrNoBranch, "no branches yet"},
					{"empty.git", "main", Head{}, ErrNoBranch, "no branches yet"},
					{"detached.git", "", Head{}, ErrNoBranch, "not on a branch"},
					{"none.git", "main", Head{}, ErrNotFound, "no such repository"},
				} {
					got, err := c.Head(t.Context(), remote(test.repo), Ref{Branch: test.branch})
					if got != test.want || !errors.Is(err, test.err) || err != nil &&
						!strings.Contains(err.Error(), test.words) {
						t.Errorf("%s %q: %v, %v", test.repo, test.branch, got, err)
					}
					if err != nil &&
						(strings.Contains(err.Error(), "\n") ||
							!strings.Contains(err.Error(), test.repo)) {
						t.Errorf("%s: not one line that names the repository: %q", test.repo, err)
					}
				}
			}
		})
	}
}

// A branch's head changes between requests on a kept connection.
func TestHeadMoves(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	all := remotesOf(t, root)
	c := newClient(t)
	for i := range 4 {
		want := r.commit("main", map[string]string{"a": fmt.Sprint(i)})
		if i == 2 { // the default branch is renamed
			r.git("", "branch", "-m", "main", "trunk")
			r.git("", "symbolic-ref", "HEAD", "refs/heads/trunk")
		}
		if i == 3 {
			r.remove()
			r = newRepository(t, root, "repo.git")
			want = r.commit("main", map[string]string{"b": "unrelated"})
		}
		branch := []string{"main", "main", "trunk", "main"}[i]
		for way, remote := range all {
			if head, err := c.Head(t.Context(), remote("repo.git"),
				Ref{}); head != (Head{branch, want}) {
				t.Errorf("%d: %s: %v, %v", i, way, head, err)
			}
		}
	}
	r.remove()
	for way, remote := range all {
		if _, err := c.Head(t.Context(), remote("repo.git"), Ref{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", way, err)
		}
	}
}
