package builder

import "regexp"

// packager is what installs an app's Python packages, into a virtual environment that is there.
type packager struct {
	file, lock string // what it reads; without a lock file of its own, file alone marks its trees
	tool       tool   // none: pip, which each environment has
	says       string
	install    []string // "python" is that of the environment
	env        func(b *build, venv string) map[string]string

	// local finds in its files that a package other than the app itself is a folder of the repository; nil: see
	// [requirements].
	local *regexp.Regexp
}

// packagers are in the order in which they are looked for: a lock file says the most.
var packagers = []*packager{uv, poetry, pip("requirements.txt", "-r", "requirements.txt"), pip("pyproject.toml", ".")}

func pip(file string, what ...string) *packager {
	return &packager{
		file:    file,
		says:    "pip install",
		install: append([]string{"python", "-m", "pip", "install", "--quiet"}, what...),
		env: func(b *build, _ string) map[string]string {
			return map[string]string{
				"PIP_CACHE_DIR":                 b.cache("pip"),
				"PIP_DISABLE_PIP_VERSION_CHECK": "1",
				"PIP_NO_INPUT":                  "1",
				"PIP_PROGRESS_BAR":              "off",
				"PIP_ROOT_USER_ACTION":          "ignore",
			}
		},
	}
}

var uv = &packager{
	file: "pyproject.toml", lock: "uv.lock",
	tool: tool{name: "uv", install: "install uv (https://docs.astral.sh/uv)"},
	says: "uv sync",
	// not editable: an app's own package would be found in the tree of the build that made the environment
	install: []string{"uv", "sync", "--frozen", "--no-dev", "--no-editable", "--no-progress"},
	env: func(b *build, venv string) map[string]string {
		return map[string]string{
			"UV_PROJECT_ENVIRONMENT": venv,
			"UV_CACHE_DIR":           b.cache("uv"),
			"UV_PYTHON_DOWNLOADS":    "never", // the server's, or an error
		}
	},
	local: regexp.MustCompile(`source = \{ (editable|directory|path|virtual) = "([^."]|\.[^"])`),
}

var poetry = &packager{
	file: "pyproject.toml", lock: "poetry.lock",
	tool:    tool{name: "poetry", install: "install Poetry (https://python-poetry.org, or the package python3-poetry)"},
	says:    "poetry install",
	install: []string{"poetry", "install", "--no-root", "--only", "main", "--no-interaction", "--no-ansi"},
	env: func(b *build, venv string) map[string]string {
		return map[string]string{
			"VIRTUAL_ENV":      venv, // so that it takes this one, and makes none
			"PATH":             venv + "/bin:" + b.env["PATH"],
			"POETRY_CACHE_DIR": b.cache("poetry"),
		}
	},
	local: regexp.MustCompile(`(?m)^type = "(directory|file)"`),
}
