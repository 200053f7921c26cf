package builder

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// installer is a program that fills node_modules.
type installer struct {
	kind   string // as people call it
	tool   tool
	locks  []string // its lock files, of which the first that is there counts
	files  []string // what else in a tree decides what it installs
	frozen []string // installs what the lock file says, development dependencies too, or fails
	loose  []string // installs without a lock file
	script []string // runs the script whose name is appended

	// copies is appended to frozen where a build script is to come, which may write into node_modules:
	// no file there may then share its content with the installer's own cache.
	copies []string
	env    func(b *build) map[string]string

	// local finds in its lock file that a package is a folder of the repository. npm has none:
	// [nodeModules.readLinks] knows more.
	local *regexp.Regexp
}

// installers are in the order in which they are preferred where a repository has several lock files
// and packageManager names none of them: npm is where Node is.
var installers = []*installer{npm, pnpm, yarn, classic, bunInstaller}

// choice is what installs, and why.
type choice struct {
	by    *installer
	lock  string   // its lock file; empty: there is none
	notes []string // what an owner of several lock files wants to know
}

// choose finds the installer of a package by the lock file in has, or by its packageManager
// (https://nodejs.org/api/packages.html#packagemanager) where that says something else.
func choose(p *nodePackage, has *os.Root) choice {
	var found []choice
	for _, by := range installers {
		if lock := by.lockIn(has); lock != "" {
			found = append(found, choice{by: by, lock: lock})
		}
	}
	chosen, why := choice{by: npm}, ""
	if len(found) > 0 {
		chosen = found[0]
		why = fmt.Sprintf("%s decides, unless packageManager in package.json names another tool", chosen.lock)
	}
	if name, version := p.packageManager(); name != "" {
		for _, by := range installers {
			if by.tool.name == name && (by != yarn || isNewYarn(has, version)) && (by != classic || !isNewYarn(has, version)) {
				chosen = choice{by: by, lock: by.lockIn(has)}
				why = "packageManager in package.json says " + name
			}
		}
	}
	for _, other := range found {
		if other.lock != chosen.lock {
			chosen.notes = append(chosen.notes, fmt.Sprintf("%s is not used: %s", other.lock, why))
		}
	}
	return chosen
}

// lockIn is the name of the installer's lock file; empty: there is none.
func (i *installer) lockIn(has *os.Root) string {
	for _, name := range i.locks {
		if tree.IsFile(has, name) && (i != yarn || isNewYarn(has, "")) && (i != classic || !isNewYarn(has, "")) {
			return name
		}
	}
	return ""
}

// wishes are the versions of itself that the package asks for: another major one reads another lock
// file.
func (i *installer) wishes(p *nodePackage, has *os.Root) []wish {
	if slices.Contains([]*installer{yarn, classic}, i) && bringsYarn(has) {
		return nil
	}
	if name, version := p.packageManager(); name == i.tool.name && version != "" {
		if major, err := semver.NewVersion(version); err == nil {
			return []wish{sameMajor("packageManager in package.json", major.Major())}
		}
	}
	switch i {
	case yarn:
		return []wish{{by: "yarn.lock", asked: "2 or newer", fits: func(v *semver.Version) (bool, bool) { return v.Major() > 1, false }}}
	case classic:
		return []wish{sameMajor("yarn.lock", 1)}
	}
	return nil
}

func sameMajor(by string, major uint64) wish {
	return wish{by: by, asked: fmt.Sprint(major), fits: func(v *semver.Version) (bool, bool) { return v.Major() == major, false }}
}

// packageManager is the field of that name, "pnpm@9.1.0+sha512.abc", in its parts.
func (p *nodePackage) packageManager() (name, version string) {
	name, version, _ = strings.Cut(p.PackageManager, "@")
	version, _, _ = strings.Cut(version, "+")
	return name, version
}
