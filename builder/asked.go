package builder

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"paas/builder/tree"
)

// asked is a version that a repository asks for, as it is written there.
type asked struct{ source, text string }

// managedVersions returns the versions of a tool in the files of asdf and mise
// (https://asdf-vm.com/manage/configuration.html, https://mise.jdx.dev/configuration.html). Forms
// that only these understand, such as ref:1a2b, ask for nothing.
func managedVersions(root *os.Root, names ...string) (list []asked, err error) {
	add := func(source, text string) {
		if !strings.Contains(text, ":") && text != "" {
			list = append(list, asked{source, text})
		}
	}
	content, err := tree.ReadIf(root, ".tool-versions", 64<<10)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(tree.Text(content))) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 1 && slices.Contains(names, words[0]) {
			add(".tool-versions", words[1]) // others are alternatives
		}
	}
	for _, source := range []string{"mise.toml", ".mise.toml"} {
		content, err := tree.ReadIf(root, source, 64<<10)
		if err != nil {
			return nil, err
		}
		var file struct{ Tools map[string]any }
		if err := toml.Unmarshal(tree.Text(content), &file); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		for _, name := range names {
			switch value := file.Tools[name].(type) {
			case string:
				add(source, value)
			case map[string]any:
				text, _ := value["version"].(string)
				add(source, text)
			}
		}
	}
	return list, nil
}

// versionsOf returns the versions of a tool that a package.json asks for.
func (p *nodePackage) versionsOf(tool string) (list []asked) {
	if name, version := p.packageManager(); name == tool && version != "" {
		list = append(list, asked{"packageManager in package.json", version})
	}
	// https://docs.npmjs.com/cli/configuring-npm/package-json#devengines
	var dev map[string]json.RawMessage
	json.Unmarshal(p.fields["devEngines"], &dev)
	for _, field := range []string{"runtime", "packageManager"} {
		for _, e := range devEngines(dev[field]) {
			if e.Name == tool && e.Version != "" && e.OnFail != "ignore" && e.OnFail != "warn" {
				list = append(list, asked{"devEngines in package.json", e.Version})
			}
		}
	}
	var volta map[string]string // https://docs.volta.sh/guide/understanding
	json.Unmarshal(p.fields["volta"], &volta)
	if volta[tool] != "" {
		list = append(list, asked{"volta in package.json", volta[tool]})
	}
	if tool == "node" && p.engine(tool) != "" {
		list = append(list, asked{"engines.node in package.json", p.engine(tool)})
	}
	return list
}

type devEngine struct{ Name, Version, OnFail string }

// devEngines reads one of them, or a list.
func devEngines(field json.RawMessage) (list []devEngine) {
	if json.Unmarshal(field, &list) == nil {
		return list
	}
	var one devEngine
	json.Unmarshal(field, &one)
	return []devEngine{one}
}

// engine returns the range of versions of a tool in the engines of package.json.
func (p *nodePackage) engine(tool string) string {
	var engines map[string]string
	json.Unmarshal(p.fields["engines"], &engines)
	return strings.TrimSpace(engines[tool])
}

// packageManager splits the field of that name
// (https://nodejs.org/api/packages.html#packagemanager): "pnpm@9.1.0+sha512.abc" is "pnpm" and "9.1.0".
func (p *nodePackage) packageManager() (name, version string) {
	name, version, _ = strings.Cut(p.PackageManager, "@")
	version, _, _ = strings.Cut(version, "+")
	return name, version
}
