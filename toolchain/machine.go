package toolchain

import (
	"path/filepath"
	"runtime"

	"golang.org/x/sys/cpu"
)

// machine is what decides which package has a program for it.
type machine struct {
	os   string // as in [runtime.GOOS]
	arch string // as npm calls it: "x64", "arm64"
	musl bool   // its C library is musl, not glibc
	old  bool   // an x64 processor without AVX2
}

func thisMachine() machine {
	m := machine{os: runtime.GOOS, arch: runtime.GOARCH}
	if m.arch == "amd64" {
		m.arch, m.old = "x64", !cpu.X86.HasAVX2
	}
	if m.os == "linux" {
		glibc, _ := filepath.Glob("/lib*/ld-linux*.so*") // its loader; fails only for a bad pattern
		musl, _ := filepath.Glob("/lib/ld-musl-*.so.1")
		m.musl = len(glibc) == 0 && len(musl) > 0
	}
	return m
}

// String describes m for people: "linux on x64 with musl".
func (m machine) String() string {
	text := m.os + " on " + m.arch
	if m.musl {
		text += " with musl"
	}
	return text
}
