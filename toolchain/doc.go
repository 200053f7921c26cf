// Package toolchain fetches the versions of programs that apps ask for (Node, npm, pnpm, Yarn, Bun,
// Deno) from an npm registry, and keeps them on the volume, where every app can read them.
//
// It knows which packages have a program for this machine, checks what it downloads before it
// unpacks anything, and publishes a toolchain whole. It runs none of them. It does not know apps,
// nor which version suits a repository: package builder decides that. The runtime removes what no
// build uses.
package toolchain
