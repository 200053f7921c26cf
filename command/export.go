package command

import (
	"maps"
	"slices"
	"strings"

	"paas/access"
)

// exportRow is Dokku's config:export. Its flag --format stands in place of the general one.
func exportRow() Row {
	return Verb[exportInput, exported]{
		Head: Head{
			Name: "config:export", Group: Config, Needs: access.Deploy,
			Example: "blog --format env-file > blog.env",
			Short:   "print an app's config vars for a shell, for docker's --env-file, or as JSON",
			More:    `eval "$(paas config:export blog)" sets and exports them in a shell, byte for byte.`,
		},
		Run:  exportConfig,
		Text: printExported,
	}
}

type exportInput struct {
	App    string `json:"app" arg:"APP"`
	Format string `json:"format" flag:"format" value:"FORMAT" default:"exports" help:"exports: lines for eval; shell: all on one line, without export; env-file: for docker; json"`
}

// exported is config vars, and how a person wants to see them.
type exported struct {
	vars   map[string]string
	format string
}

func (e exported) inJSON() any { return e.vars }

func exportConfig(c *Call, in exportInput) (exported, error) {
	e := exported{format: in.Format}
	if in.Format == "envfile" { // as Dokku spells it
		e.format = "env-file"
	}
	if !slices.Contains([]string{"exports", "shell", "env-file", "json"}, e.format) {
		return e, wrong("format", "--format is exports, shell, env-file or json, not %q", plain(in.Format))
	}
	app, err := c.App(in.App)
	if err != nil {
		return e, err
	}
	s, err := app.Settings()
	if err != nil {
		return e, err
	}
	e.vars = copyOf(s.Config)
	for _, key := range slices.Sorted(maps.Keys(e.vars)) {
		if e.format == "env-file" && strings.ContainsAny(e.vars[key], "\r\n") {
			return e, conflict("config:export "+app.Name+" --format exports has it",
				"%s has several lines, and docker reads only one of each variable", key)
		}
	}
	return e, nil
}

func printExported(p *Page, e exported) {
	if e.format == "json" {
		writeJSON(p, e.vars)
		return
	}
	var words []string
	for _, key := range slices.Sorted(maps.Keys(e.vars)) {
		switch value := e.vars[key]; e.format {
		case "env-file":
			p.line("%s=%s", key, value)
		case "shell":
			words = append(words, key+"="+quoted(value))
		default:
			p.line("export %s=%s", key, quoted(value))
		}
	}
	if len(words) > 0 {
		p.line("%s", strings.Join(words, " "))
	}
}

// quoted is text as one word of a POSIX shell (IEEE Std 1003.1, shell command language, 2.2.2).
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
