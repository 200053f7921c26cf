package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/cmdline"
	"paas/say"
	"paas/toolchain"
	"paas/volume"
)

// Toolchains has programs in other versions than the server, see [toolchain.Store].
type Toolchains interface {
	Versions(ctx context.Context, name string) ([]toolchain.Version, error)
	Stored(name string) []toolchain.Version
	Fetch(ctx context.Context, t volume.Toolchain, out io.Writer) (dir string, err error)
}

// needTools gets all tools of the build: those of this server if they suit, else toolchains. It
// reports everything that this server lacks or has in the wrong version before anything runs.
func (b *build) needTools(ctx context.Context) error {
	var wrong []error
	tools := b.allTools()
	for i := 0; i < len(tools); i++ {
		t := tools[i]
		if err := b.need(ctx, t); err != nil {
			wrong = append(wrong, err)
		}
		isNPM := func(t tool) bool { return t.name == npm.tool.name }
		if t.name == nodeTool.name && b.node != nil && !slices.ContainsFunc(tools, isNPM) {
			tools = append(tools, npm.tool) // the package of Node has none
		}
	}
	return errors.Join(wrong...)
}

// allTools lists the tools of all projects, each once with all that is required of it: Node first,
// which runs others.
func (b *build) allTools() (list []tool) {
	for _, p := range b.plan.projects {
		for _, t := range p.tools(b.plan) {
			at := slices.IndexFunc(list, func(known tool) bool { return known.name == t.name })
			if at < 0 {
				t.requires = slices.Clone(t.requires)
				list = append(list, t)
				continue
			}
			for _, r := range t.requires {
				same := func(known requirement) bool {
					return known.source == r.source && known.text == r.text
				}
				if !slices.ContainsFunc(list[at].requires, same) {
					list[at].requires = append(list[at].requires, r)
				}
			}
		}
	}
	if at := slices.IndexFunc(list, func(t tool) bool { return t.name == nodeTool.name }); at > 0 {
		node := list[at]
		list = slices.Insert(slices.Delete(list, at, at+1), 0, node)
	}
	return list
}

// need makes sure that the build has a tool that meets its requirements.
func (b *build) need(ctx context.Context, t tool) error {
	notes, wrong := b.checkTool(ctx, t)
	suits := wrong == nil && len(notes) == 0
	if !suits && t.others != nil {
		if b.useOther(ctx, t, wrong != nil) {
			return nil
		}
	}
	if !suits && t.fetchesItself != nil && b.job.Toolchains != nil {
		if version := t.fetchesItself(ctx, b); version != "" {
			b.toolchains()
			say.Detail(b.job.Out, "%s %s: %s; it fetches that itself", t.name, version,
				b.reason(ctx, t))
			return nil
		}
	}
	if b.job.Toolchains == nil || !toolchain.Has(t.name) {
		b.notes = append(b.notes, notes...)
		return wrong
	}
	// The server's npm may not work with another Node than the server's.
	follows := b.node != nil && toolchain.OnNode(t.name)
	if suits && !follows {
		return nil
	}
	reason := fmt.Sprintf("for node %s", b.node)
	if !suits {
		reason = b.reason(ctx, t)
	}
	err := b.useToolchain(ctx, t, reason)
	var missing unavailable
	switch {
	case err == nil, !errors.As(err, &missing), ctx.Err() != nil:
		return err
	case wrong != nil || follows:
		if wrong == nil {
			wrong = fmt.Errorf("node %s needs another %s than the server's", b.node, t.name)
		}
		return fmt.Errorf("%w; it cannot be fetched: %w", wrong, missing.error)
	}
	b.toolchains()
	say.Detail(b.job.Out, "%s cannot be fetched: %v; using the server's", t.name, missing.error)
	for _, note := range notes {
		say.Detail(b.job.Out, "%s", note)
	}
	return nil
}

// unavailable means that neither the registry nor the volume has versions to choose from.
type unavailable struct{ error }

func (u unavailable) Unwrap() error { return u.error }

// reason says what asks for a tool, and what the server has.
func (b *build) reason(ctx context.Context, t tool) string {
	var asks []string
	for _, r := range t.requires {
		asks = append(asks, r.source+" asks for "+r.text)
	}
	has := "this server has none"
	if version := b.versionOf(ctx, t); version != nil {
		has = "this server has " + version.Original()
	}
	return strings.Join(append(asks, has), ", ")
}

// versionOf returns the version of the tool on PATH; nil: there is none, or it does not say.
func (b *build) versionOf(ctx context.Context, t tool) *semver.Version {
	printed, err := b.toolVersion(ctx, cmdline.With(b.env, t.env), t.name, t.versionArgs...)
	if err != nil {
		return nil
	}
	version, _ := parseVersion(printed) // nil if it fails
	return version
}

// toolchains announces, once, that toolchains follow.
func (b *build) toolchains() {
	if !b.saidToolchains {
		say.Step(b.job.Out, "Toolchains")
	}
	b.saidToolchains = true
}

// useToolchain puts a toolchain that meets the requirements of t in front of PATH, for the build
// and for the processes of its result.
func (b *build) useToolchain(ctx context.Context, t tool, reason string) error {
	version, fromStore, err := b.pick(ctx, t)
	if err != nil {
		return err
	}
	b.toolchains()
	chosen := volume.Toolchain{Name: t.name, Version: version.String()}
	say.Detail(b.job.Out, "%s: %s", chosen, reason)
	if fromStore != nil {
		say.Detail(b.job.Out, "%v; using the one fetched before", fromStore)
	}
	dir, err := b.job.Toolchains.Fetch(ctx, chosen, b.job.Out)
	if err != nil {
		var unreachable toolchain.Unreachable
		if errors.As(err, &unreachable) {
			err = unavailable{err}
		}
		return err
	}
	b.built.Toolchains = append(b.built.Toolchains, chosen)
	b.env["PATH"] = filepath.Join(dir, "bin") + ":" + b.env["PATH"]
	if t.name == nodeTool.name {
		b.node = version
		// else native modules are compiled for headers that node-gyp downloads
		if b.env["npm_config_nodedir"] == "" {
			b.env["npm_config_nodedir"] = filepath.Join(dir, "package")
		}
	}
	return nil
}

// pick picks the version to use. unreachable is why the registry was not asked, if one fetched
// before is used instead.
func (b *build) pick(ctx context.Context, t tool) (v *semver.Version, unreachable, err error) {
	want := wanted{name: t.name, requires: t.requires}
	if toolchain.OnNode(t.name) {
		if want.node = b.node; want.node == nil {
			want.node = b.versionOf(ctx, nodeTool)
		}
	}
	stored := b.job.Toolchains.Stored(t.name)
	if slices.ContainsFunc(t.requires, func(r requirement) bool { return r.only != nil }) {
		if v, err := want.choose(stored); err == nil { // none is better
			return v, nil, nil
		}
	}
	versions, err := b.job.Toolchains.Versions(ctx, t.name)
	if err != nil {
		if v, chooseErr := want.choose(stored); chooseErr == nil {
			return v, err, nil
		}
		return nil, nil, unavailable{err}
	}
	v, err = want.choose(versions)
	return v, nil, err
}
