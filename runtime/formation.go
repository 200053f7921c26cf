package runtime

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"paas/formation"
	"paas/formation/appjson"
	"paas/runtime/health"
	"paas/volume"
)

// place is one process of a formation: web.2.
type place struct {
	Type  string
	Index int // from 1
}

func (p place) String() string { return fmt.Sprintf("%s.%d", p.Type, p.Index) }

// isWeb reports whether the process gets $PORT and traffic.
func (p place) isWeb() bool { return p.Type == formation.Web }

// comparePlaces orders places: web first, then by name and number.
func comparePlaces(a, b place) int {
	return cmp.Or(formation.Compare(a.Type, b.Type), cmp.Compare(a.Index, b.Index))
}

// places lists the wanted processes of a release with these process types.
func places(types []string, scaled, inFile map[string]int) []place {
	var places []place
	for _, t := range types {
		for i := range formation.Count(t, scaled, inFile) {
			places = append(places, place{t, i + 1})
		}
	}
	slices.SortFunc(places, comparePlaces)
	return places
}

// nameIn is the name of the process at p for people: only its type if places has no other of that
// type.
func nameIn(places []place, p place) string {
	another := func(other place) bool { return other.Type == p.Type && other.Index != p.Index }
	if slices.ContainsFunc(places, another) {
		return p.String()
	}
	return p.Type
}

// processTypes lists the process types of a build that can be scaled.
func processTypes(built volume.Built) []string {
	return slices.Collect(maps.Keys(formation.Lines(built)))
}

// bootsEarly reports whether the process is started beside the live release and checked before the
// commit: web, and those with a startup check. The others start when the release has the traffic
// and those of the old one have ended, so that no two versions of a worker do the same work.
func bootsEarly(p place, file appjson.File) bool {
	return p.isWeb() || slices.ContainsFunc(file.Checks[p.Type], func(c health.Check) bool {
		return c.Type == "" || c.Type == health.Startup
	})
}
