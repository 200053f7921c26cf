package runtime

import (
	"cmp"
	"fmt"
	"slices"

	"paas/runtime/appjson"
	"paas/runtime/cron"
	"paas/runtime/health"
	"paas/volume"
)

// place is one process of a formation: web.2.
type place struct {
	Type  string
	Index int // from 1
}

func (p place) String() string { return fmt.Sprintf("%s.%d", p.Type, p.Index) }

// isWeb says whether the process gets $PORT and traffic.
func (p place) isWeb() bool { return p.Type == webType }

const (
	webType     = "web"
	releaseType = "release" // runs before a release gets traffic, and never on its own
	onceType    = "run"     // a command that a person runs once
)

// comparePlaces puts web first, then goes by name and number.
func comparePlaces(a, b place) int {
	if a.isWeb() != b.isWeb() {
		if a.isWeb() {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Index, b.Index))
}

// formation lists the processes that are wanted of a release: of each type as many as ps:scale said,
// else as app.json says, else one web and none of the others.
func formation(types []string, scaled, inFile map[string]int) []place {
	var places []place
	for _, t := range types {
		n, said := scaled[t]
		if !said {
			n, said = inFile[t]
		}
		if !said && t == webType {
			n = 1
		}
		for i := range n {
			places = append(places, place{t, i + 1})
		}
	}
	slices.SortFunc(places, comparePlaces)
	return places
}

// nameIn is what people call the process at p among places: its type where there is no other of it.
func nameIn(places []place, p place) string {
	if slices.ContainsFunc(places, func(other place) bool { return other.Type == p.Type && other.Index != p.Index }) {
		return p.String()
	}
	return p.Type
}

// processTypes are those of a build that can be part of a formation.
func processTypes(built volume.Built) []string {
	var types []string
	for t := range built.Processes {
		if Scalable(t) {
			types = append(types, t)
		}
	}
	if built.Static != "" && !slices.Contains(types, webType) {
		types = append(types, webType)
	}
	return types
}

// Scalable says whether processes of a type can run for as long as the release does: all but those of the
// release phase, those that run by the clock, and commands that people run once.
func Scalable(processType string) bool {
	return processType != releaseType && processType != onceType && !cron.IsType(processType)
}

// bootsEarly says whether the process is started beside the live release and checked before the commit:
// web, and who asks for a startup check. The others start when the release is live and those of the
// old one have ended, so that no two versions of a worker do the same work.
func bootsEarly(p place, file appjson.File) bool {
	return p.isWeb() || slices.ContainsFunc(file.Checks[p.Type], func(c health.Check) bool {
		return c.Type == "" || c.Type == health.Startup
	})
}

// Formation says, of a build's process types that can be scaled, what they run and how many are wanted;
// scaled is what ps:scale said, inFile what app.json does.
func Formation(built volume.Built, scaled, inFile map[string]int) (lines map[string]string, counts map[string]int) {
	lines, counts = map[string]string{}, map[string]int{}
	types := processTypes(built)
	for _, t := range types {
		lines[t] = cmp.Or(built.Processes[t], "static files")
	}
	for _, p := range formation(types, scaled, inFile) {
		counts[p.Type]++
	}
	return lines, counts
}
