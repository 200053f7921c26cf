package builder

import (
	"fmt"
	"regexp"
	"strings"

	"paas/say"
)

// failure describes the output of an installer or compiler that fails.
type failure struct {
	says  *regexp.Regexp // the first line that matches says why it failed, in a group
	skip  *regexp.Regexp // lines that do not count, although they match; nil: none
	stale *regexp.Regexp // a line that means that the lock file does not fit; nil: unknown
	fix   string         // what to do then: "run npm install and commit package-lock.json"
}

// failureOf returns the failure of a command by the name that the build log gives it: its first two
// words, and a file or more.
func failureOf(name string) failure {
	words := strings.Fields(name)
	return failures[strings.Join(words[:min(2, len(words))], " ")]
}

// failures of commands, see [failureOf].
var failures = map[string]failure{
	"npm ci": {
		says: npmLine, skip: npmDetail,
		stale: regexp.MustCompile("(`npm ci`( command)?|cipm) can only install"),
		fix:   "run npm install and commit package-lock.json",
	},
	"npm install": {says: npmLine, skip: npmDetail},
	"pnpm install": {
		says:  regexp.MustCompile(`ERR_PNPM_\w+\s+(.+)`),
		stale: regexp.MustCompile(`ERR_PNPM_\w*(OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH)`),
		fix:   "run pnpm install and commit pnpm-lock.yaml",
	},
	"yarn install": { // both Yarns
		says:  regexp.MustCompile(`^(?:error |.*YN\d{4}: (?:.*Error: )?)(.+)`),
		skip:  regexp.MustCompile(`YN00(00|02|13|19|60|86)`),
		stale: regexp.MustCompile(`YN0028|Your lockfile needs to be updated`),
		fix:   "run yarn install and commit yarn.lock",
	},
	"bun install": {
		says:  regexp.MustCompile(`^error: (.+)`),
		stale: regexp.MustCompile(`lockfile had changes, but lockfile is frozen`),
		fix:   "run bun install and commit bun.lock",
	},
	"deno install": {
		says:  regexp.MustCompile(`^error: (.+)`),
		stale: regexp.MustCompile(`lockfile is out of date`),
		fix:   "run deno install and commit deno.lock",
	},
	"pip install": {says: pythonLine, skip: pythonDetail},
	"uv sync":     {says: pythonLine, skip: pythonDetail},
	"poetry install": {
		says:  regexp.MustCompile(`^\s*(\S.+)`),
		skip:  regexp.MustCompile(`^(Installing|Package operations|\s*-|\s*\w+Error$|.*[Ww]arning)`),
		stale: regexp.MustCompile(`changed significantly since poetry\.lock`),
		fix:   "run poetry lock and commit poetry.lock",
	},
	"bundle install": {
		says: regexp.MustCompile(`^\s*(\S.+)`),
		skip: regexp.MustCompile(`^(Fetching|Installing|Using|Resolving|HEADS UP|\[DEPRECATED)|` +
			`[Ww]arning`),
		stale: regexp.MustCompile(`(deployment|frozen) mode`),
		fix:   "run bundle install and commit Gemfile.lock",
	},
	"composer install": {
		says:  regexp.MustCompile(`^\s*(?:- )?(\S.+)`),
		skip:  regexp.MustCompile(`^(Installing|Verifying|Package operations|\s*Problem \d)|Warning`),
		stale: regexp.MustCompile(`lock file does not contain|is not present in the lock file`),
		fix:   "run composer update and commit composer.lock",
	},
	"dotnet publish": {
		// https://learn.microsoft.com/visualstudio/msbuild/msbuild-diagnostic-format-for-tasks
		says:  regexp.MustCompile(`^(\S.*?: error [A-Z]+\d+: .+?)(?: \[.*\])?$`),
		stale: regexp.MustCompile(`error NU1004: `),
		fix:   "run dotnet restore --force-evaluate and commit packages.lock.json",
	},
	"mvn package":        mavenFailure,
	"./mvnw package":     mavenFailure,
	"gradle assemble":    gradleFailure,
	"./gradlew assemble": gradleFailure,
	"cargo metadata":     cargoFailure,
	"cargo build":        cargoFailure,
	"go build": {
		says:  regexp.MustCompile(`^(?:go: )?(\S.+)`),
		skip:  regexp.MustCompile(`^(go: (downloading|finding|warning)|# )`),
		stale: regexp.MustCompile(`missing go\.sum entry|updates to go\.mod needed`),
		fix:   "run go mod tidy and commit go.mod and go.sum",
	},
}

var (
	npmLine   = regexp.MustCompile(`^npm (?:error|ERR!) (.+)`)
	npmDetail = regexp.MustCompile(
		`^npm (error|ERR!) ((code|errno|syscall|path|dest|notsup) |command failed$)`)

	pythonLine = regexp.MustCompile(
		`^\s*(?:(?:ERROR: |error: |× )(.+)|(.*fatal error: .+|\w+(?:\.\w+)*(?:Error|Exception): .+))`)
	pythonDetail = regexp.MustCompile(
		`subprocess-exited-with-error|did not run successfully|metadata-generation-failed`)

	mavenFailure = failure{
		says: regexp.MustCompile(`^\[ERROR\] (\S.+)`), skip: regexp.MustCompile(`COMPILATION ERROR`),
	}
	gradleFailure = failure{
		says: regexp.MustCompile(`^(?:> (.+)|(\S+\.java:\d+: error: .+))`),
		skip: regexp.MustCompile(`^> (Task|Configure|Run|Get) `),
	}

	cargoFailure = failure{
		says:  regexp.MustCompile(`^error(?:\[E\d+\])?: (.+)`),
		stale: regexp.MustCompile(`--locked was passed`),
		fix:   "run cargo build and commit Cargo.lock",
	}
)

// reason searches the output of a command for the line that says why it fails. It is an
// [io.Writer] of whole lines.
type reason struct {
	failure
	line  string // the first that says why
	stale bool
}

// Write implements [io.Writer].
func (r *reason) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		line = strings.TrimRight(line, "\n ")
		if r.failure.stale != nil && r.failure.stale.MatchString(line) {
			r.stale = true
		}
		if r.line != "" || r.says == nil || r.skip != nil && r.skip.MatchString(line) {
			continue
		}
		if found := r.says.FindStringSubmatch(line); found != nil {
			r.line = strings.Join(found[1:], "") // one of the groups matches
		}
	}
	return len(p), nil
}

// explain adds what was found to the error of the command.
func (r *reason) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case r.stale:
		return fmt.Errorf("%w: the lock file does not fit; %s", err, r.fix)
	case r.line != "":
		return fmt.Errorf("%w: %s", err, say.Plain(r.line, 300))
	}
	return err
}
