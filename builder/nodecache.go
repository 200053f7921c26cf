package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"paas/builder/tree"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// nodeModules is one node_modules folder as the cache keeps it: under a key made of everything
// that decides what is installed there.
type nodeModules struct {
	build *build
	of    *nodeApp
	lock  []byte
	links []*nodePackage // packages of the tree itself that node_modules links to
	odd   bool           // something is installed outside node_modules
	copy  keptFolder
}

func (a *nodeApp) nodeModules(ctx context.Context, b *build, env map[string]string) (*nodeModules, error) {
	content, err := tree.Read(b.tree, a.lock, maxLock)
	if err != nil {
		return nil, err
	}
	m := &nodeModules{build: b, of: a, lock: content}
	sum := sha256.New()
	for _, name := range []string{a.runtime.name, a.by.tool.name} {
		version, err := b.toolVersion(ctx, env, name)
		if err != nil {
			return nil, err
		}
		part(sum, name, []byte(version))
	}
	part(sum, "platform", []byte(runtime.GOOS+"/"+runtime.GOARCH))
	part(sum, a.lock, content)
	m.hashPackage(sum, a.nodePackage)
	for _, name := range a.by.files {
		if content, err := tree.Read(b.tree, name, 1<<20); err == nil {
			part(sum, name, content)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.job.Config)) {
		if decides.MatchString(name) {
			part(sum, name, []byte(b.job.Config[name]))
		}
	}
	if a.by == npm {
		if err := m.readLinks(sum); err != nil {
			return nil, err
		}
	}
	m.copy.dir = b.cache("node_modules", hex.EncodeToString(sum.Sum(nil)[:16]))
	return m, nil
}

const maxLock = 64 << 20 // bytes

// decides finds the config vars that are settings of an installer.
var decides = regexp.MustCompile(`(?i)^(npm_config|pnpm_config|yarn|bun)_`)

// readLinks finds the packages that live in the tree (workspaces, file: folders). Most apps have
// none, and then the lock file, often a megabyte, is not parsed.
func (m *nodeModules) readLinks(sum hash.Hash) error {
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
			m.odd = true // packages/a/node_modules/b: a workspace with a version of its own
		}
		if !lock.Packages[place].Link {
			continue
		}
		dir, err := m.build.tree.OpenRoot(path.Clean(lock.Packages[place].Resolved))
		if err != nil {
			m.odd = true
			continue
		}
		linked, err := readNodePackage(dir)
		dir.Close()
		if err != nil || linked == nil {
			m.odd = true
			continue
		}
		m.links = append(m.links, linked)
		m.hashPackage(sum, linked)
	}
	return nil
}

func (m *nodeModules) hashPackage(sum hash.Hash, p *nodePackage) {
	for _, field := range dependencyFields {
		part(sum, field, p.fields[field])
	}
	for _, name := range installScripts {
		part(sum, name, []byte(p.Scripts[name]))
	}
}

// part adds one named part of a key, so that no two lists of parts look the same.
func part(sum hash.Hash, name string, content []byte) {
	fmt.Fprintf(sum, "%d %s %d ", len(name), name, len(content))
	sum.Write(content)
}

// unfit says why a copy of node_modules would not be all that installing does; empty: it is.
func (m *nodeModules) unfit() string {
	if m.odd || m.of.by != npm && m.isWorkspace() {
		return "workspaces with dependencies of their own"
	}
	if m.of.by.local != nil && m.of.by.local.Match(m.lock) {
		return "it has folders of the repository itself"
	}
	if m.of.hasInstallScripts() || slices.ContainsFunc(m.links, (*nodePackage).hasInstallScripts) {
		return "install scripts in package.json may do more than fill it"
	}
	if slices.ContainsFunc(m.links, func(p *nodePackage) bool { return p.fields["bin"] != nil }) {
		return "npm makes the programs of linked packages executable"
	}
	return ""
}

func (m *nodeModules) kept() bool { return m.copy.is() }

// isWorkspace says whether there are packages below this one, which get a node_modules each.
func (m *nodeModules) isWorkspace() bool {
	pnpm, _ := tree.Read(m.build.tree, "pnpm-workspace.yaml", 1<<20) // has other settings too
	return !isEmpty(m.of.fields["workspaces"]) || bytes.HasPrefix(pnpm, []byte("packages:")) || bytes.Contains(pnpm, []byte("\npackages:"))
}

// restore puts the kept copy into the tree. Files are shared with the cache and older builds,
// unless a build script is to come, which might write into them.
func (m *nodeModules) restore(ctx context.Context) error {
	return m.copy.restore(ctx, m.build.tree, "node_modules", !m.spoils())
}

// keep puts what was installed into the cache.
func (m *nodeModules) keep(ctx context.Context) error {
	return m.copy.keep(ctx, m.build.tree, "node_modules", !m.spoils())
}

// spoils says whether something is to come that might write into files of node_modules.
func (m *nodeModules) spoils() bool { return m.of.Scripts["build"] != "" }
