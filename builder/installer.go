package builder

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// installer is a tool that fills node_modules.
type installer struct {
	tool   tool
	locks  []string // names of its lock file; the first that exists counts
	files  []string // other files of the tree that affect what it installs
	frozen []string // command: install exactly what the lock file lists, including devDependencies
	loose  []string // command: install without a lock file
	script []string // command: run the script whose name is appended

	// copies is appended to frozen if a build script follows, which may write into node_modules: no
	// file there may then share its content with the installer's cache.
	copies []string
	env    func(b *build) map[string]string

	// local matches a lock file with a package that is a folder of the repository. npm has none,
	// see [nodeModules.readLinks].
	local *regexp.Regexp
}

// installers in order of preference, for a repository with several lock files of which
// packageManager names none. npm comes first: every Node installation has it.
var installers = []*installer{npm, pnpm, yarn, classic, bunInstaller}

// choice is the installer to use.
type choice struct {
	by    *installer
	lock  string   // name of its lock file; empty: none
	notes []string // which lock files are ignored, and why
}

// choose picks the installer of a package: the one that packageManager names
// (https://nodejs.org/api/packages.html#packagemanager), else the one whose lock file is in dir.
func choose(p *nodePackage, dir *os.Root) choice {
	var found []choice
	for _, by := range installers {
		if lock := by.lockIn(dir); lock != "" {
			found = append(found, choice{by: by, lock: lock})
		}
	}
	chosen, why := choice{by: npm}, ""
	if len(found) > 0 {
		chosen = found[0]
		why = fmt.Sprintf("%s takes precedence; packageManager in package.json can choose "+
			"another tool", chosen.lock)
	}
	if name, version := p.packageManager(); name != "" {
		for _, by := range installers {
			if by.tool.name == name && by.isRightYarn(dir, version) {
				chosen = choice{by: by, lock: by.lockIn(dir)}
				why = "packageManager in package.json says " + name
			}
		}
	}
	for _, other := range found {
		if other.lock != chosen.lock {
			chosen.notes = append(chosen.notes, fmt.Sprintf("ignoring %s: %s", other.lock, why))
		}
	}
	return chosen
}

// isRightYarn tells the two Yarns apart, see [isNewYarn]. It is true for other installers.
func (i *installer) isRightYarn(dir *os.Root, version string) bool {
	return i != yarn && i != classic || isNewYarn(dir, version) == (i == yarn)
}

// lockIn returns the name of the installer's lock file in dir, or "".
func (i *installer) lockIn(dir *os.Root) string {
	for _, name := range i.locks {
		if tree.IsFile(dir, name) && i.isRightYarn(dir, "") {
			return name
		}
	}
	return ""
}

// requires returns the required versions of the installer itself: each major version has its own
// format of lock file.
func (i *installer) requires(p *nodePackage, dir *os.Root) []requirement {
	if (i == yarn || i == classic) && hasOwnYarn(dir) {
		return nil
	}
	if name, version := p.packageManager(); name == i.tool.name && version != "" {
		if major, err := semver.NewVersion(version); err == nil {
			return []requirement{sameMajor("packageManager in package.json", major.Major())}
		}
	}
	switch i {
	case yarn:
		return []requirement{{
			source: "yarn.lock", text: "2 or newer",
			fits: func(v *semver.Version) (bool, bool) { return v.Major() > 1, false },
		}}
	case classic:
		return []requirement{sameMajor("yarn.lock", 1)}
	}
	return nil
}

func sameMajor(source string, major uint64) requirement {
	return requirement{
		source: source, text: fmt.Sprint(major),
		fits: func(v *semver.Version) (bool, bool) { return v.Major() == major, false },
	}
}

// packageManager splits the field of that name: "pnpm@9.1.0+sha512.abc" is "pnpm" and "9.1.0".
func (p *nodePackage) packageManager() (name, version string) {
	name, version, _ = strings.Cut(p.PackageManager, "@")
	version, _, _ = strings.Cut(version, "+")
	return name, version
}
