package builder

import (
	"os"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"paas/rig"
	"paas/toolchain"
)

// published returns versions written as "20.17.0", or "10.9.4:>=18" for one that needs such a Node.
func published(t *testing.T, text string) (list []toolchain.Version) {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		version, engines, _ := strings.Cut(word, ":")
		v := toolchain.Version{Version: semver.MustParse(version)}
		if engines != "" {
			limits, err := semver.NewConstraint(strings.ReplaceAll(engines, ",", " "))
			if err != nil {
				t.Fatal(err)
			}
			v.Node = limits
		}
		list = append(list, v)
	}
	return list
}

func TestChooseNode(t *testing.T) {
	const nodes = "18.20.8 18.9.0 20.17.0 20.20.2 20.17.1 21.7.3 22.23.5 23.9.0 24.0.0-rc.1"
	for asks, want := range map[string]string{ // as file=text;...
		".nvmrc=20.17.0": "20.17.0", ".nvmrc=20.17": "20.17.1", "engines=20.17.x": "20.17.1",
		"engines=20": "20.20.2", "engines=20.x": "20.20.2", "engines=v20": "20.20.2", "": "22.23.5",
		"engines=>=18": "22.23.5", // one with long-term support
		"engines=>=23": "23.9.0", "engines=21 || 23": "23.9.0", ".nvmrc=lts/*": "22.23.5",
		".nvmrc=lts/hydrogen": "18.20.8", ".nvmrc=LTS/Iron": "20.20.2", "engines=^18.17.0 || >=20.5.0": "22.23.5",
		"engines=18 - 20": "20.20.2", "engines=>= 18 < 20": "18.20.8", "engines=~20.17": "20.17.1",
		"engines=18.x;.nvmrc=18.9.0": "18.9.0", "engines=*": "22.23.5", "engines=x": "22.23.5",
		"engines=>=20 <21;.nvmrc=22": "engines asks for node >=20 <21 and .nvmrc for 22: no version is both; change one of them",
		".nvmrc=20.99.0":             ".nvmrc asks for node 20.99.0, which is not published (the newest is 23.9.0); change .nvmrc",
		"engines=<18":                "engines asks for node <18, which is not published (the newest is 23.9.0); change engines",
	} {
		w := wanted{name: "node"}
		for _, ask := range strings.FieldsFunc(asks, func(r rune) bool { return r == ';' }) {
			source, text, _ := strings.Cut(ask, "=")
			requires, err := nodeVersion(source, text)
			if err != nil {
				t.Fatal(err)
			}
			w.requires = append(w.requires, requires...)
		}
		wantChoice(t, asks, w, published(t, nodes), want)
	}
}

func wantChoice(t *testing.T, what string, w wanted, list []toolchain.Version, want string) {
	t.Helper()
	v, err := w.choose(list)
	got := rig.Message(err)
	if err == nil {
		got = v.String()
	}
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// A Node gets the npm that came with it, although newer ones may run with it.
func TestChooseNPM(t *testing.T) {
	lock3, err := inRange("package-lock.json", ">=7")
	if err != nil {
		t.Fatal(err)
	}
	list := published(t, "6.14.18 8.19.4:^12.13.0||^14.15.0||>=16.0.0 9.9.4:^14.17.0||^16.13.0||>=18.0.0 "+
		"10.9.4:^18.17.0||>=20.5.0 11.21.2:^20.17.0||>=22.9.0 12.2.2:^22.22.2||^24.15.0||>=26.0.0")
	for node, want := range map[string]string{
		"12.22.0": "6.14.18", "14.21.3": "6.14.18", "16.20.2": "8.19.4", "18.20.8": "10.9.4",
		"18.0.0": "9.9.4", "20.17.0": "10.9.4", "22.23.5": "10.9.4", "24.22.1": "11.21.2", "27.0.0": "12.2.2",
	} {
		wantChoice(t, "node "+node, wanted{name: "npm", node: semver.MustParse(node)}, list, want)
	}
	newLock := wanted{name: "npm", node: semver.MustParse("14.21.3"), requires: []requirement{lock3}}
	wantChoice(t, "npm 6 does not read the lock file", newLock, list, "9.9.4")
}

// What the repository asks for, else the lock file, decides which package manager is fetched.
func TestChooseInstaller(t *testing.T) {
	published := map[string][]toolchain.Version{
		"pnpm": published(t, "6.35.1 7.33.7 8.15.9 9.0.0 9.15.9:>=18.12 10.34.9:>=18.12 11.28.11:>=22.13 12.21.0"),
		"yarn": published(t, "1.22.22 2.4.2 3.0.2 3.1.1 3.8.7 4.1.0 4.13.0:>=18.12.0 4.14.1 4.18.1"),
		"bun":  published(t, "1.1.45 1.4.5"), "npm": published(t, "9.9.4 10.8.2 11.21.2"),
	}
	berry := func(version string) string { return "\n__metadata:\n  version: " + version + "\n" }
	for name, c := range map[string]struct {
		files map[string]string // a package.json, unless it is {}
		want  string
	}{
		"pnpm 9":           {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "pnpm 9.15.9"},
		"pnpm 10":          {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "pnpm-workspace.yaml": "onlyBuiltDependencies:\n  - esbuild\n"}, "pnpm 10.34.9"},
		"pnpm 9 workspace": {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "pnpm-workspace.yaml": "packages:\n  - a\n"}, "pnpm 9.15.9"},
		"pnpm 8":           {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm 8.15.9"},
		"pnpm 7":           {map[string]string{"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm 7.33.7"},
		"pnpm of engines":  {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "package.json": `{"engines": {"pnpm": ">=10 <11"}}`}, "pnpm 10.34.9"},
		"packageManager":   {map[string]string{"package.json": `{"packageManager": "pnpm@9.0.0+sha512.abc"}`}, "pnpm 9.0.0"},
		"devEngines": {map[string]string{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
			"package.json": `{"devEngines": {"packageManager": {"name": "pnpm", "version": "^10.0.0"}}}`}, "pnpm 10.34.9"},
		"too old a node":    {map[string]string{"package.json": `{"packageManager": "pnpm@11.28.11"}`}, "pnpm 11.28.11 needs node >=22.13, but the app has node 20.20.2; change one of them"},
		"not published":     {map[string]string{"package.json": `{"packageManager": "pnpm@9.9.9"}`}, "packageManager in package.json asks for pnpm 9.9.9, which is not published (the newest is 12.21.0); change packageManager in package.json"},
		"yarn 1":            {map[string]string{"yarn.lock": "# yarn lockfile v1\n"}, "yarn 1.22.22"},
		"yarn 3.0":          {map[string]string{"yarn.lock": berry("4")}, "yarn 2.4.2"},
		"yarn 3":            {map[string]string{"yarn.lock": berry("6")}, "yarn 3.8.7"},
		"yarn 4":            {map[string]string{"yarn.lock": berry("8")}, "yarn 4.13.0"},
		"yarn 4.18":         {map[string]string{"yarn.lock": berry("10")}, "yarn 4.18.1"},
		"volta":             {map[string]string{"yarn.lock": berry("8"), "package.json": `{"volta": {"yarn": "4.1.0"}}`}, "yarn 4.1.0"},
		".tool-versions":    {map[string]string{"yarn.lock": berry("8"), ".tool-versions": "nodejs 20.1.0\nyarn 4.1.0 # as agreed\n"}, "yarn 4.1.0"},
		"mise":              {map[string]string{"yarn.lock": berry("8"), "mise.toml": "[tools]\nyarn = {version = \"4.1.0\"}\n"}, "yarn 4.1.0"},
		"bun":               {map[string]string{"bun.lock": "{\n  \"lockfileVersion\": 1,\n"}, "bun 1.4.5"},
		"npm":               {map[string]string{"package-lock.json": "{}"}, "npm 10.8.2"},
		"npm of volta":      {map[string]string{"package.json": `{"volta": {"npm": "9.9.4"}}`}, "npm 9.9.4"},
		"a word for npm":    {map[string]string{"package.json": `{"packageManager": "npm@latest"}`}, "npm 10.8.2"},
		"two that disagree": {map[string]string{"package.json": `{"packageManager": "yarn@4.1.0", "volta": {"yarn": "1.22.22"}}`}, "packageManager in package.json asks for yarn 4.1.0 and volta in package.json for 1.22.22: no version is both; change one of them"},
		"only a warning":    {map[string]string{"yarn.lock": berry("8"), "package.json": `{"devEngines": {"packageManager": {"name": "yarn", "version": "^3", "onFail": "warn"}}}`}, "yarn 4.13.0"},
		"an old engines":    {map[string]string{"yarn.lock": berry("8"), "package.json": `{"engines": ["node >= 0.6"]}`}, "yarn 4.13.0"},
	} {
		if c.files["package.json"] == "" {
			c.files["package.json"] = "{}"
		}
		root, err := os.OpenRoot(rig.Tree(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		p, err := readNodePackage(root)
		if err != nil {
			t.Fatal(err)
		}
		by := choose(p, root).by
		w := wanted{name: by.tool.name, node: semver.MustParse("20.20.2")}
		if w.requires, err = by.requires(p, root); err != nil {
			t.Fatal(err)
		}
		root.Close()
		want := strings.TrimPrefix(c.want, w.name+" ")
		if strings.Contains(c.want, ";") {
			want = c.want
		}
		wantChoice(t, name, w, published[w.name], want)
	}
}

func TestNodeRequirements(t *testing.T) {
	for want, files := range map[string]map[string]string{
		".node-version 20; .nvmrc v22":            {".node-version": "20\n", ".nvmrc": "# ours\nv22\n"},
		".tool-versions 20.1.0":                   {".tool-versions": "ruby 3.3.0\nnodejs 20.1.0 18.0.0\n"},
		"":                                        {".tool-versions": "nodejs ref:1a2b\n", "mise.toml": "[tools]\nnode = \"latest\"\n"},
		".mise.toml 20":                           {".mise.toml": "[tools]\nnode = '20'\n"},
		"volta in package.json 20.1.0":            {"package.json": `{"volta": {"node": "20.1.0"}}`},
		"engines.node in package.json >=18":       {"package.json": `{"engines": {"node": " >=18 ", "npm": 10}}`},
		"devEngines in package.json ^22":          {"package.json": `{"devEngines": {"runtime": [{"name": "bun", "version": "1"}, {"name": "node", "version": "^22"}]}}`},
		"error: mise.toml: ":                      {"mise.toml": "[tools\n"},
		"error: .nvmrc is empty; write a vers":    {".nvmrc": "# nothing\n"},
		"error: engines.node in package.json: \"": {"package.json": `{"engines": {"node": "newest"}}`},
	} {
		if files["package.json"] == "" {
			files["package.json"] = "{}"
		}
		root, err := os.OpenRoot(rig.Tree(t, files))
		if err != nil {
			t.Fatal(err)
		}
		p, err := readNodePackage(root)
		if err != nil {
			t.Fatal(err)
		}
		found, err := nodeRequirements(root, p)
		root.Close()
		var list []string
		for _, r := range found {
			list = append(list, r.source+" "+r.text)
		}
		got := strings.Join(list, "; ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want && (err == nil || !strings.HasPrefix(got, want)) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A folder of a repository runs on the Node that the repository asks for above it, and is installed
// by the package manager that is named there.
func TestVersionsAbove(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		".nvmrc above":       {map[string]string{".nvmrc": "18"}, "node [.nvmrc 18]; npm []"},
		"the tree's own":     {map[string]string{".nvmrc": "18", "api/.node-version": "20"}, "node [.node-version 20]; npm []"},
		"of the workspace":   {map[string]string{"package.json": `{"workspaces": ["api"], "engines": {"node": ">=18"}, "packageManager": "pnpm@9.0.0"}`, "pnpm-lock.yaml": ""}, "node [engines.node in package.json >=18]; pnpm [packageManager in package.json 9.0.0]"},
		"a broken one above": {map[string]string{".nvmrc": "no version"}, "node []; npm []"},
	} {
		c.files["api/package.json"] = `{"dependencies": {"a": "1"}}`
		c.files["api/Procfile"] = "web: cd . && node x"
		top, err := os.OpenRoot(rig.Tree(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		tree, err := top.OpenRoot("api")
		if err != nil {
			t.Fatal(err)
		}
		plan, err := detect(tree, top)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tool := range (&build{plan: plan}).allTools() {
			var requires []string
			for _, r := range tool.requires {
				requires = append(requires, r.source+" "+r.text)
			}
			got = append(got, tool.name+" ["+strings.Join(requires, ", ")+"]")
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		tree.Close()
		top.Close()
	}
}

// A Procfile that runs node somewhere in a line needs it.
func TestProcfileNamesNode(t *testing.T) {
	for line, want := range map[string]int{
		"node x": 1, "cd y && node x": 1, "exec node x": 1, "(cd y;node x)": 1, "sh -c 'node x'": 1, "./node-like": 0, "ruby x": 0,
	} {
		root, err := os.OpenRoot(rig.Tree(t, map[string]string{"package.json": `{"engines": {"node": "18"}}`, "Procfile": "web: " + line}))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := detect(root)
		root.Close()
		if err != nil {
			t.Fatal(err)
		}
		if tools := (&build{plan: plan}).allTools(); len(tools) != want {
			t.Errorf("%s: %d tools", line, len(tools))
		}
	}
}
