package builder

import (
	"fmt"
	"os"
	"regexp"

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

	wrote []writer // formats of its lock file, if versions differ in it

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

// requires returns the required versions of the installer itself. What the repository asks for
// counts; otherwise the installer must be one that could have written the lock file.
func (i *installer) requires(p *nodePackage, dir *os.Root) ([]requirement, error) {
	if (i == yarn || i == classic) && hasOwnYarn(dir) {
		return nil, nil
	}
	asked, err := managedVersions(dir, i.tool.name)
	if err != nil {
		return nil, err
	}
	var requires []requirement
	for _, a := range append(asked, p.versionsOf(i.tool.name)...) {
		version, err := semver.StrictNewVersion(a.text)
		if err == nil { // a newer or older one of the same major has the same lock file
			requires = append(requires, requirement{
				source: a.source, text: a.text, only: version,
				fits: func(v *semver.Version) (bool, bool) {
					return v.Major() == version.Major(), !v.Equal(version)
				},
			})
			continue
		}
		if r, err := versionOrRange(a.source, a.text, 1); err == nil { // not a word such as latest
			requires = append(requires, r)
		}
	}
	if len(requires) == 0 {
		requires = i.writers(dir)
	}
	if i == npm { // it ignores its engines, and so they are often wrong
		return requires, nil
	}
	source := "engines." + i.tool.name + " in package.json"
	if r, err := versionOrRange(source, p.engine(i.tool.name), 1); err == nil {
		requires = append(requires, r.preferably())
	}
	return requires, nil
}

// preferably returns a requirement that other versions meet nearly.
func (r requirement) preferably() requirement {
	strict := r.fits
	r.fits = func(v *semver.Version) (bool, bool) {
		fits, near := strict(v)
		return true, near || !fits
	}
	return r
}

// writers returns the versions of the installer that write such a lock file.
func (i *installer) writers(dir *os.Root) []requirement {
	switch i {
	case classic:
		return []requirement{sameMajor("yarn.lock", 1)}
	case yarn:
		return []requirement{yarnWriter(dir)}
	}
	lock := i.lockIn(dir)
	content, _ := tree.Read(dir, lock, maxLock)
	requires := writersOf(lock, content, i.wrote)
	if i == pnpm && len(requires) > 0 && requires[0].prefers == 9 && tree.IsFile(dir, pnpmWorkspace) &&
		!isPnpmWorkspace(dir) {
		requires[0].prefers = 10 // 9 refuses such a file if it lists no packages
	}
	return requires
}

// writer says which versions of a tool write a format of its lock file, or read it unchanged.
type writer struct {
	format string // as the lock file has it
	by     string // range of versions
	first  uint64 // the first major that wrote it, if by has several
}

// writersOf returns the versions that write a lock file of this content. Others meet that nearly:
// they may convert it.
func writersOf(lock string, content []byte, table []writer) []requirement {
	found := lockVersion.FindSubmatch(content)
	if found == nil {
		found = plainLockVersion.FindSubmatch(content)
	}
	for _, w := range table {
		if found == nil || w.format != string(found[1]) {
			continue
		}
		r, err := inRange(lock, w.by)
		if err != nil {
			panic(err) // the table is wrong
		}
		r.prefers = w.first
		return []requirement{r.preferably()}
	}
	return nil
}

// lockVersion matches the format of a lock file, and plainLockVersion that of a yarn.lock or a
// deno.lock.
var (
	lockVersion      = regexp.MustCompile(`\blockfileVersion"?:\s*['"]?([\d.]+)`)
	plainLockVersion = regexp.MustCompile(`(?m)^\s*"?version"?:\s*"?([\d.]+)`)
)

func sameMajor(source string, major uint64) requirement {
	return requirement{
		source: source, text: fmt.Sprint(major),
		fits: func(v *semver.Version) (bool, bool) { return v.Major() == major, false },
	}
}
