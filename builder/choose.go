package builder

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"

	"paas/toolchain"
)

// wanted says which version of a tool to choose.
type wanted struct {
	name     string
	requires []requirement
	node     *semver.Version // runs the tool; nil: unknown, or nothing does
}

// choose returns the newest version that meets all requirements. Of several majors it prefers the
// one that is likeliest to work. If there is none, the error says why, in one line.
func (w wanted) choose(versions []toolchain.Version) (*semver.Version, error) {
	released := slices.DeleteFunc(slices.Clone(versions), func(v toolchain.Version) bool {
		named := func(r requirement) bool { return r.only != nil && r.only.Equal(v.Version) }
		return v.Prerelease() != "" && !slices.ContainsFunc(w.requires, named)
	})
	slices.SortFunc(released, func(a, b toolchain.Version) int { return b.Compare(a.Version) })
	fitting := meeting(released, w.requires...)
	if len(fitting) == 0 {
		return nil, w.contradiction(released)
	}
	running := slices.DeleteFunc(slices.Clone(fitting), func(v toolchain.Version) bool {
		return v.Node != nil && w.node != nil && !v.Node.Check(w.node)
	})
	if len(running) == 0 {
		return nil, fmt.Errorf("%s %s needs node %s, but the app has node %s; change one of them",
			w.name, fitting[0], fitting[0].Node, w.node)
	}
	for _, v := range running {
		if w.prefers(v.Version) {
			return v.Version, nil
		}
	}
	return running[0].Version, nil
}

func meeting(versions []toolchain.Version, requires ...requirement) (list []toolchain.Version) {
	for _, v := range versions {
		fails := func(r requirement) bool { return !r.meets(v.Version) }
		if !slices.ContainsFunc(requires, fails) {
			list = append(list, v)
		}
	}
	return list
}

// contradiction says why no version meets all requirements.
func (w wanted) contradiction(versions []toolchain.Version) error {
	if len(versions) == 0 {
		return fmt.Errorf("no version of %s is published for this machine", w.name)
	}
	for i, r := range w.requires {
		if len(meeting(versions, r)) == 0 {
			return fmt.Errorf("%s asks for %s %s, which is not published (the newest is %s); change %s",
				r.source, w.name, r.text, versions[0], r.source)
		}
		for _, other := range w.requires[:i] {
			if len(meeting(versions, r, other)) == 0 {
				return fmt.Errorf("%s asks for %s %s and %s for %s: no version is both; change one of them",
					other.source, w.name, other.text, r.source, r.text)
			}
		}
	}
	return fmt.Errorf("no version of %s is all that the repository asks for; change one of %s",
		w.name, sourcesOf(w.requires))
}

func sourcesOf(requires []requirement) (list []string) {
	for _, r := range requires {
		list = append(list, r.source)
	}
	return list
}

// prefers reports whether v is of a major that is likelier to work than newer ones: a Node with
// long-term support, the npm that comes with a Node, the first that wrote a lock file.
func (w wanted) prefers(v *semver.Version) bool {
	switch w.name {
	case "node":
		return isLongTerm(v)
	case "npm":
		return w.node == nil || npmOf(w.node.Major()) == 0 || v.Major() == npmOf(w.node.Major())
	}
	for _, r := range w.requires {
		if r.prefers != 0 && v.Major() != r.prefers {
			return false
		}
	}
	return true
}

// npmOf returns the major of npm in the last releases of a Node
// (https://nodejs.org/dist/index.json).
// A newer npm may run with it, and treat an older lock file in another way. 0: unknown.
func npmOf(node uint64) uint64 {
	switch {
	case node <= 14:
		return 6
	case node == 15:
		return 7
	case node <= 17:
		return 8
	case node <= 23:
		return 10
	case node <= 26:
		return 11
	}
	return 0
}
