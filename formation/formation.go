// Package formation has the rules about process types: which of them can be scaled, and how many
// processes of each type a release runs. The runtime, which starts processes, and the commands,
// which show and scale them, use it. It starts nothing and knows no engine.
package formation

import (
	"cmp"
	"regexp"
	"slices"

	"paas/volume"
)

// Process types with a special meaning.
const (
	Web     = "web"     // gets $PORT and traffic
	Release = "release" // the release phase: runs before a release gets traffic
	Run     = "run"     // a one-off command
)

// cronType matches the process types of Procfile lines that may be scheduled: cron, cron2,
// cron-tidy.
var cronType = regexp.MustCompile(`^cron([0-9]*|[-_].*)$`)

// scheduled matches a command line that begins like one of a crontab.
var scheduled = regexp.MustCompile(`^(@|[0-9*][0-9*/,?-]*(\s|$))`)

// IsCron reports whether a line of the Procfile is scheduled: it has the name of a scheduled one,
// and its command line begins like one of a crontab. Without that it is a process like any other.
func IsCron(processType, line string) bool {
	return MayBeCron(processType) && scheduled.MatchString(line)
}

// MayBeCron reports whether lines of this process type are scheduled if they begin like one of a
// crontab.
func MayBeCron(processType string) bool { return cronType.MatchString(processType) }

// CronType is what scheduled commands have in place of a process type, in their logs and limits:
// cron, unless that is the name of a process that is not scheduled.
func CronType(processes map[string]string) string {
	if line, there := processes["cron"]; there && !IsCron("cron", line) {
		return "cron-schedule"
	}
	return "cron"
}

// Scalable reports whether a line of the Procfile runs for as long as the release does. The release
// phase, cron runs and one-off commands do not.
func Scalable(processType, line string) bool {
	return processType != Release && processType != Run && !IsCron(processType, line)
}

// Lines returns the command lines of a build's scalable process types.
func Lines(built volume.Built) map[string]string {
	lines := map[string]string{}
	for t, line := range built.Processes {
		if Scalable(t, line) {
			lines[t] = line
		}
	}
	if built.Static != "" {
		lines[Web] = cmp.Or(lines[Web], "static files")
	}
	return lines
}

// Count returns how many processes of a type a release runs: the number that a person set, or the
// one in app.json, or 1 for web and 0 for other types.
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
