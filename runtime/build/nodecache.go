package build

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"paas/runtime/command"
	"paas/runtime/tree"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// nodeModules is one node_modules folder as the cache keeps it: under a key made of everything
// that decides what npm ci puts there.
type nodeModules struct {
	build *build
	lock  []byte
	links []*nodePackage // packages of the tree itself that node_modules links to
	odd   bool           // something is installed outside node_modules
	dir   string         // in the cache
}

const keptNodeModules = 3 // of an app: going back and forth between two branches stays fast

func (b *build) nodeModules(ctx context.Context, env map[string]string, lock string) (*nodeModules, error) {
	content, err := tree.Read(b.tree, lock, 64<<20)
	if err != nil {
		return nil, err
	}
	m := &nodeModules{build: b, lock: content}
	sum := sha256.New()
	node, err := b.toolVersion(ctx, env, "node")
	if err != nil {
		return nil, err
	}
	npm, err := b.npmVersion(ctx, env)
	if err != nil {
		return nil, err
	}
	part(sum, "node", []byte(node))
	part(sum, "npm", []byte(npm))
	part(sum, "platform", []byte(runtime.GOOS+"/"+runtime.GOARCH))
	part(sum, lock, content)
	m.hashPackage(sum, b.plan.node)
	if npmrc, err := tree.Read(b.tree, ".npmrc", 1<<20); err == nil {
		part(sum, ".npmrc", npmrc)
	}
	for _, name := range slices.Sorted(maps.Keys(b.job.Config)) {
		if strings.HasPrefix(strings.ToLower(name), "npm_config_") {
			part(sum, name, []byte(b.job.Config[name]))
		}
	}
	if err := m.readLinks(sum); err != nil {
		return nil, err
	}
	m.dir = b.cache("node_modules", hex.EncodeToString(sum.Sum(nil)[:16]))
	return m, nil
}

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

func (m *nodeModules) kept() bool { return isFolder(m.dir) }

// unfit says why a copy of node_modules would not be all that npm ci does; empty: it is.
func (m *nodeModules) unfit() string {
	if m.odd {
		return "workspaces with dependencies of their own"
	}
	if m.build.plan.node.hasInstallScripts() || slices.ContainsFunc(m.links, (*nodePackage).hasInstallScripts) {
		return "install scripts in package.json may do more than fill it"
	}
	if slices.ContainsFunc(m.links, func(p *nodePackage) bool { return p.fields["bin"] != nil }) {
		return "npm makes the programs of linked packages executable"
	}
	return ""
}

// restore puts the kept copy into the tree. Files are shared with the cache and older builds,
// unless a build script is to come, which might write into them.
func (m *nodeModules) restore(ctx context.Context) error {
	if err := m.build.tree.RemoveAll("node_modules"); err != nil {
		return err
	}
	now := time.Now()
	os.Chtimes(m.dir, now, now) // prune goes by it
	return clone(ctx, m.dir, m.inTree(), m.build.plan.node.script("build") == "")
}

// keep puts what npm installed into the cache. A failure to do so fails the build: it is a full
// or broken disk.
func (m *nodeModules) keep(ctx context.Context) error {
	if !isFolder(m.inTree()) {
		return nil
	}
	parent := filepath.Dir(m.dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	m.prune(parent)
	unfinished := filepath.Join(parent, unfinishedPrefix+rand.Text())
	err := clone(ctx, m.inTree(), unfinished, m.build.plan.node.script("build") == "")
	if err == nil {
		err = os.Rename(unfinished, m.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	return nil
}

const unfinishedPrefix = "unfinished-"

// prune makes room for one more: copies that a kill left half made, and the longest unused ones.
func (m *nodeModules) prune(parent string) {
	entries, _ := os.ReadDir(parent)
	used := map[string]time.Time{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), unfinishedPrefix) {
			used[e.Name()] = info.ModTime()
		} else {
			os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, name := range names[min(len(names), keptNodeModules-1):] {
		grave := filepath.Join(parent, unfinishedPrefix+rand.Text()) // a kill must not leave half of it under its key
		if os.Rename(filepath.Join(parent, name), grave) == nil {
			os.RemoveAll(grave)
		}
	}
}

// npmVersion is read from where npm lies: npm itself takes 100 ms and more to say it.
func (b *build) npmVersion(ctx context.Context, env map[string]string) (string, error) {
	npm, err := command.LookPath("npm", env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	if file, err := filepath.EvalSymlinks(npm); err == nil { // .../npm/bin/npm-cli.js
		var about struct{ Name, Version string }
		content, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "package.json"))
		if err == nil && json.Unmarshal(content, &about) == nil && about.Name == "npm" && about.Version != "" {
			return about.Version, nil
		}
	}
	return b.version(ctx, env, b.job.Tree, npm)
}

func (m *nodeModules) inTree() string { return filepath.Join(m.build.job.Tree, "node_modules") }
