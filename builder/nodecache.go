package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"paas/builder/tree"
	"path"
	"regexp"
	"slices"
	"strings"
)

// nodeModules is an app's node_modules folder and its copy in the cache.
type nodeModules struct {
	build   *build
	app     *nodeApp
	lock    []byte         // content of the lock file
	links   []*nodePackage // packages of the tree that node_modules links to
	outside bool           // something is installed outside node_modules
	copy    keptFolder
}

func (a *nodeApp) nodeModules(
	ctx context.Context, b *build, env map[string]string,
) (*nodeModules, error) {
	content, err := tree.Read(b.tree, a.lock, maxLock)
	if err != nil {
		return nil, err
	}
	m := &nodeModules{build: b, app: a, lock: content}
	key, err := b.newCacheKey(ctx, env, a.runtime.name, a.by.tool.name)
	if err != nil {
		return nil, err
	}
	key.add(a.lock, content)
	m.addPackage(key, a.nodePackage)
	for _, name := range a.by.files {
		if content, err := tree.Read(b.tree, name, 1<<20); err == nil {
			key.add(name, content)
		}
	}
	key.addConfig(b.job.Config, installerSetting)
	if a.by == npm {
		if err := m.readLinks(key); err != nil {
			return nil, err
		}
	}
	m.copy.dir = b.cache("node_modules", key.String())
	return m, nil
}

const maxLock = 64 << 20 // bytes

// installerSetting matches config vars that are settings of an installer.
var installerSetting = regexp.MustCompile(`(?i)^(npm_config|pnpm_config|yarn|bun)_`)

// readLinks finds the packages that are part of the tree (workspaces, file: folders). Most apps
// have none; then it does not parse the lock file, often a megabyte.
func (m *nodeModules) readLinks(key cacheKey) error {
	if !bytes.Contains(m.lock, []byte(`"link"`)) {
		return nil
	}
	var lock struct {
		Packages map[string]struct {
			Link     bool   `json:"link"`
			Resolved string `json:"resolved"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(tree.Text(m.lock), &lock); err != nil {
		return fmt.Errorf("package-lock.json: %w", err)
	}
	for _, place := range slices.Sorted(maps.Keys(lock.Packages)) {
		if strings.Contains(place, "/node_modules/") && !strings.HasPrefix(place, "node_modules/") {
			m.outside = true // packages/a/node_modules/b: a workspace's own version of b
		}
		if !lock.Packages[place].Link {
			continue
		}
		dir, err := m.build.tree.OpenRoot(path.Clean(lock.Packages[place].Resolved))
		if err != nil {
			m.outside = true
			continue
		}
		linked, err := readNodePackage(dir)
		dir.Close()
		if err != nil || linked == nil {
			m.outside = true
			continue
		}
		m.links = append(m.links, linked)
		m.addPackage(key, linked)
	}
	return nil
}

func (m *nodeModules) addPackage(key cacheKey, p *nodePackage) {
	for _, field := range dependencyFields {
		key.add(field, p.fields[field])
	}
	for _, name := range installScripts {
		key.add(name, []byte(p.Scripts[name]))
	}
}

// reasonNotKept says why a copy of node_modules would not be all that an install does, or "".
func (m *nodeModules) reasonNotKept() string {
	if m.outside || m.app.by != npm && m.isWorkspace() {
		return "workspaces with dependencies of their own"
	}
	if m.app.by.local != nil && m.app.by.local.Match(m.lock) {
		return "it contains folders of the repository itself"
	}
	if m.app.hasInstallScripts() || slices.ContainsFunc(m.links, (*nodePackage).hasInstallScripts) {
		return "install scripts in package.json may do more than fill it"
	}
	if slices.ContainsFunc(m.links, func(p *nodePackage) bool { return p.fields["bin"] != nil }) {
		return "npm makes the programs of linked packages executable"
	}
	return ""
}

// isWorkspace reports whether there are packages below this one, each with its own node_modules.
func (m *nodeModules) isWorkspace() bool {
	return !isEmpty(m.app.fields["workspaces"]) || isPnpmWorkspace(m.build.tree)
}

// mayChange reports whether scripts follow, which may write into files of node_modules.
// They are then not shared with the cache and other builds.
func (m *nodeModules) mayChange() bool { return m.app.runsScripts() }
