package builder

import "regexp"

// packager installs an app's Python packages into an existing virtual environment.
type packager struct {
	// the files it reads; it handles a tree with lock, or with file if lock is empty
	file, lock string
	tool       tool     // empty: pip, which each environment has
	shown      string   // how the build log names the install
	install    []string // the command; "python" stands for the environment's
	env        func(b *build, venv string) map[string]string

	// local matches file or lock if a package other than the app itself is a folder of the
	// repository; nil: see [requirements].
	local *regexp.Regexp
}

// packagers in order of precedence: lock files first.
var packagers = []*packager{
	uv, poetry, pip("requirements.txt", "-r", "requirements.txt"), pip("pyproject.toml", "."),
}

func pip(file string, packages ...string) *packager {
	return &packager{
		file:    file,
		shown:   "pip install",
		install: append([]string{"python", "-m", "pip", "install", "--quiet"}, packages...),
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
	tool:  tool{name: "uv", install: "uv (https://docs.astral.sh/uv)"},
	shown: "uv sync",
	// no-editable: an editable install would find the app's own package in the tree of the build
	// that made the environment
	install: []string{"uv", "sync", "--frozen", "--no-dev", "--no-editable", "--no-progress"},
	env: func(b *build, venv string) map[string]string {
		return map[string]string{
			"UV_PROJECT_ENVIRONMENT": venv,
			"UV_CACHE_DIR":           b.cache("uv"),
			"UV_PYTHON_DOWNLOADS":    "never", // use the server's Python or fail
		}
	},
	local: regexp.MustCompile(`source = \{ (editable|directory|path|virtual) = "([^."]|\.[^"])`),
}

var poetry = &packager{
	file: "pyproject.toml", lock: "poetry.lock",
	tool: tool{
		name:    "poetry",
		install: "Poetry (https://python-poetry.org, or the package python3-poetry)",
	},
	shown: "poetry install",
	install: []string{
		"poetry", "install", "--no-root", "--only", "main", "--no-interaction", "--no-ansi",
	},
	env: func(b *build, venv string) map[string]string {
		return map[string]string{
			"VIRTUAL_ENV":      venv, // install into this one, make no other
			"PATH":             venv + "/bin:" + b.env["PATH"],
			"POETRY_CACHE_DIR": b.cache("poetry"),
		}
	},
	local: regexp.MustCompile(`(?m)^type = "(directory|file)"`),
}
