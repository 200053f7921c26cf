// Package formation knows the platform's rules about process types: which of them can be scaled, and
// how many processes of each a release runs. It serves the runtime, which starts them, and the
// commands, which show and change them. It knows no engine and starts nothing.
package formation

import (
	"cmp"
	"regexp"
	"slices"

	"paas/volume"
)

// Process types with a meaning of their own.
const (
	Web     = "web"     // gets $PORT and traffic
	Release = "release" // runs before a release gets traffic, and never by itself
	Run     = "run"     // a command that a person runs once
)

// cronType is the process type of a Procfile line that runs by the clock: cron, cron2, cron-tidy.
var cronType = regexp.MustCompile(`^cron([0-9]*|[-_].*)$`)

// IsCron reports whether Procfile lines of the process type run by the clock.
func IsCron(processType string) bool { return cronType.MatchString(processType) }

// Scalable reports whether processes of the type can run for as long as the release does: all but
// the release phase, those that run by the clock, and commands that people run once.
func Scalable(processType string) bool {
	return processType != Release && processType != Run && !IsCron(processType)
}

// Lines maps the scalable process types of a build to what they run.
func Lines(built volume.Built) map[string]string {
	lines := map[string]string{}
	for t, line := range built.Processes {
		if Scalable(t) {
			lines[t] = line
		}
	}
	if built.Static != "" {
		lines[Web] = cmp.Or(lines[Web], "static files")
	}
	return lines
}

// Count is how many processes of the type a release runs: as many as scaled says, else as app.json
// says, else one web process and none of the others.
func Count(processType string, scaled, inFile map[string]int) int {
	for _, wanted := range []map[string]int{scaled, inFile} {
		if n, ok := wanted[processType]; ok {
			return n
		}
	}
	if processType == Web {
		return 1
	}
	return 0
}

// Compare orders process types: web first, the others by name.
func Compare(a, b string) int {
	if a == b {
		return 0
	}
	if i := slices.Index([]string{a, b}, Web); i >= 0 {
		return 2*i - 1
	}
	return cmp.Compare(a, b)
}
