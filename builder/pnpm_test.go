package builder

import "testing"

// Lines of lock files that mean a package in a folder of the repository, and lines that do not.
func TestLocalPackages(t *testing.T) {
	for _, test := range []struct {
		by   *installer
		line string
		want bool
	}{
		{pnpm, "      require-directory: 2.1.1", false},
		{pnpm, "      directory: 1.0.0", false},
		{pnpm, "  require-directory@2.1.1:", false},
		{pnpm, "      my-file: 1.0.0", false},
		{pnpm, "    resolution: {directory: greet, type: directory}", true},
		{pnpm, "        version: link:../greet", true},
		{pnpm, "      greet: file:greet", true},
		{classic, `require-directory@^2.1.1:`, false},
		{classic, `    my-file "^1.0.0"`, false},
		{classic, `"greet@file:./greet":`, true},
		{yarn, `"require-directory@npm:^2.1.1":`, false},
		{yarn, `"my-file@npm:^1.0.0":`, false},
		{yarn, `"greet@file:./greet::locator=app":`, true},
		{bunInstaller, `    "require-directory": ["require-directory@2.1.1", "", {}, "sha512-x=="],`, false},
		{bunInstaller, `    "my-file": ["my-file@1.0.0", "", {}, "sha512-x=="],`, false},
		{bunInstaller, `    "greet": ["greet@file:greet", {}],`, true},
	} {
		if got := test.by.local.MatchString(test.line); got != test.want {
			t.Errorf("%s: %q is local: %v", test.by.tool.name, test.line, got)
		}
	}
}
