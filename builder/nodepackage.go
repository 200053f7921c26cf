package builder

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"paas/builder/tree"
)

// nodePackage is the relevant part of a package.json
// (https://docs.npmjs.com/cli/configuring-npm/package-json).
type nodePackage struct {
	Main           string            `json:"main"`
	Module         string            `json:"module"`
	Scripts        map[string]string `json:"scripts"`
	PackageManager string            `json:"packageManager"`

	fields map[string]json.RawMessage // all fields
}

func readNodePackage(root *os.Root) (*nodePackage, error) {
	content, err := tree.ReadIf(root, "package.json", 4<<20)
	if content == nil || err != nil {
		return nil, err
	}
	content = tree.Text(content)
	p := &nodePackage{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("package.json: %w", err)
	}
	return p, json.Unmarshal(content, &p.fields)
}

// dependencyFields are the fields of package.json that affect an install.
var dependencyFields = []string{
	"dependencies", "devDependencies", "optionalDependencies", "peerDependencies",
	"peerDependenciesMeta", "bundleDependencies", "bundledDependencies", "overrides", "resolutions",
	"pnpm", "dependenciesMeta", "trustedDependencies", "patchedDependencies", "workspaces",
	"engines", "os", "cpu", "bin",
}

// hasDependencies reports whether there is anything to install.
func (p *nodePackage) hasDependencies() bool {
	for _, field := range []string{
		"dependencies", "devDependencies", "optionalDependencies", "workspaces",
	} {
		if !isEmpty(p.fields[field]) {
			return true
		}
	}
	return false
}

func isEmpty(value json.RawMessage) bool {
	return slices.Contains([]string{"", "{}", "[]", "null"}, string(value))
}

// installScripts are the package's own scripts that npm ci runs
// (https://docs.npmjs.com/cli/using-npm/scripts#npm-ci).
var installScripts = []string{
	"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare",
}

// hasInstallScripts reports whether an install runs scripts of the package.
func (p *nodePackage) hasInstallScripts() bool {
	for _, name := range installScripts {
		if p.Scripts[name] != "" {
			return true
		}
	}
	return false
}

// Scripts that Heroku runs before it installs the dependencies, and at the end of the build
// (https://devcenter.heroku.com/articles/nodejs-support#customizing-the-build-process).
const (
	herokuPrebuild = "heroku-prebuild"
	herokuCleanup  = "heroku-cleanup"
)

// runsScripts reports whether a build runs scripts of the package, besides those of the install.
func (p *nodePackage) runsScripts() bool {
	return p.buildScript() != "" || p.Scripts[herokuPrebuild] != "" || p.Scripts[herokuCleanup] != ""
}

// buildScript returns the name of the script that builds the app, or "" if it has none. As on
// Heroku, heroku-postbuild takes the place of build.
func (p *nodePackage) buildScript() string {
	for _, name := range []string{"heroku-postbuild", "build"} {
		if p.Scripts[name] != "" {
			return name
		}
	}
	return ""
}
