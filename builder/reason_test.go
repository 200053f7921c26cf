package builder

import (
	"errors"
	"io"
	"testing"

	"paas/rig"
)

// The error of a failed command ends with the first line of its output that says why.
func TestReason(t *testing.T) {
	for _, test := range []struct{ command, output, want string }{
		{"npm ci", "npm warn old\nnpm error code E404\n" +
			"npm error 404 Not Found - GET https://registry.example/a\nnpm error 404\n",
			"404 Not Found - GET https://registry.example/a"},
		{"npm install", "npm ERR! code ERESOLVE\nnpm ERR! ERESOLVE unable to resolve dependency tree\n",
			"ERESOLVE unable to resolve dependency tree"},
		{"npm ci", "npm error code EUSAGE\nnpm error\n" +
			"npm error The `npm ci` command can only install with an existing package-lock.json\n",
			"the lock file does not fit; run npm install and commit package-lock.json"},
		{"pnpm install", "Progress: resolved 1\n ERR_PNPM_OUTDATED_LOCKFILE  Cannot install\n",
			"the lock file does not fit; run pnpm install and commit pnpm-lock.yaml"},
		{"pnpm install", " ERR_PNPM_FETCH_404  GET https://registry.example/a: Not Found - 404\n",
			"GET https://registry.example/a: Not Found - 404"},
		{"yarn install", "➤ YN0000: · Yarn 4.5.0\n➤ YN0028: │ The lockfile would have been modified\n",
			"the lock file does not fit; run yarn install and commit yarn.lock"},
		{"yarn install", "yarn install v1.22.22\nerror Couldn't find package \"a\" on the registry.\n",
			"Couldn't find package \"a\" on the registry."},
		{"yarn install", "yarn install v1.22.22\nerror Your lockfile needs to be updated, but yarn\n",
			"the lock file does not fit; run yarn install and commit yarn.lock"},
		{"bun install", "error: lockfile had changes, but lockfile is frozen\n",
			"the lock file does not fit; run bun install and commit bun.lock"},
		{"pip install", "WARNING: Retrying\nERROR: Could not find a version of a==1 (from versions: none)\n" +
			"ERROR: No matching distribution found for a==1\n",
			"Could not find a version of a==1 (from versions: none)"},
		{"pip install", "  error: subprocess-exited-with-error\n  \n" +
			"  × Preparing metadata (pyproject.toml) did not run successfully.\n  │ exit code: 1\n" +
			"      Traceback (most recent call last):\n        File \"x.py\", line 353\n" +
			"      ModuleNotFoundError: No module named 'nope'\nerror: metadata-generation-failed\n",
			"ModuleNotFoundError: No module named 'nope'"},
		{"pip install", "  error: subprocess-exited-with-error\n" +
			"      a.c:1:10: fatal error: Python.h: No such file or directory\n",
			"a.c:1:10: fatal error: Python.h: No such file or directory"},
		{"uv sync", "  × Failed to build `a @ file:///a`\n  ├─▶ The build backend returned an error\n",
			"Failed to build `a @ file:///a`"},
		{"poetry install", "Installing dependencies from lock file\n\npyproject.toml changed " +
			"significantly since poetry.lock was last generated. Run `poetry lock`\n",
			"the lock file does not fit; run poetry lock and commit poetry.lock"},
		{"bundle install", "Could not find gem 'a' in locally installed gems.\n",
			"Could not find gem 'a' in locally installed gems."},
		{"bundle install", "[DEPRECATED] old\n\n[!] There was an error parsing `Gemfile`: unexpected\n",
			"[!] There was an error parsing `Gemfile`: unexpected"},
		{"bundle install", "You are trying to install in deployment mode after changing\nyour Gemfile.\n",
			"the lock file does not fit; run bundle install and commit Gemfile.lock"},
		{"cargo build", "    Updating index\nerror: cannot update the lock file /a/Cargo.lock because " +
			"--locked was passed to prevent this\n",
			"the lock file does not fit; run cargo build and commit Cargo.lock"},
		{"cargo build", "warning: unused\nerror[E0425]: cannot find value `x` in this scope\n",
			"cannot find value `x` in this scope"},
		{"go build", "go: downloading a v1\n# example.com/a\n./main.go:3:15: undefined: x\n",
			"./main.go:3:15: undefined: x"},
		{"go build", "main.go:3:8: missing go.sum entry for module providing package a\n",
			"the lock file does not fit; run go mod tidy and commit go.mod and go.sum"},
		{"composer install", "Installing dependencies from lock file\n- Required package \"a/b\" is not " +
			"present in the lock file.\n",
			"the lock file does not fit; run composer update and commit composer.lock"},
		{"dotnet publish App.slnx", "  Determining projects to restore...\n" +
			"/app/Web/Program.cs(3,1): warning CS0168: x\n/app/Web/Program.cs(4,9): error CS1002: ; expected [/app/Web/Web.csproj]\n",
			"/app/Web/Program.cs(4,9): error CS1002: ; expected"},
		{"dotnet publish", "/app/Web.csproj : error NU1004: The packages lock file is inconsistent\n",
			"the lock file does not fit; run dotnet restore --force-evaluate and commit " +
				"packages.lock.json"},
		{"npm ci", "npm ERR! cipm can only install packages when your package.json\n",
			"the lock file does not fit; run npm install and commit package-lock.json"},
		{"./mvnw package", "[INFO] BUILD FAILURE\n[ERROR] COMPILATION ERROR : \n" +
			"[ERROR] /a/Hello.java:[1,1] class expected\n", "/a/Hello.java:[1,1] class expected"},
		{"gradle assemble", "> Task :compileJava FAILED\n/a/Hello.java:1: error: class expected\n",
			"/a/Hello.java:1: error: class expected"},
		{"gradle assemble", "FAILURE: Build failed with an exception.\n\n* What went wrong:\n" +
			"A problem occurred.\n> Plugin [id: 'x'] was not found\n", "Plugin [id: 'x'] was not found"},
		{"npm run build", "anything\n", ""},
	} {
		r := &reason{failure: failureOf(test.command)}
		io.WriteString(r, test.output)
		want := "exit status 1: " + test.want
		if test.want == "" {
			want = "exit status 1"
		}
		if got := rig.Message(r.explain(errors.New("exit status 1"))); got != want {
			t.Errorf("%s: %s\nwant %s", test.command, got, want)
		}
	}
}

// pip is asked for what it cannot install.
func TestPipSaysWhy(t *testing.T) {
	t.Parallel()
	rig.Need(t, "python3")
	_, out, _, err := buildFiles(t, newBuilder(t), t.TempDir(),
		map[string]string{"requirements.txt": "./missing\n", "app.py": ""})
	rig.WantIn(t, out, rig.Message(err), "pip install: exit status 1: Invalid requirement: './missing'")
}
