package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"paas/access"
	"paas/volume"
)

func redirectRows() []Row {
	return []Row{
		Stream[redirectInput, Progress]{
			Head: Head{
				Name: "redirect:set", Group: Visitors, Needs: access.Operate,
				Example: "blog example.com www.example.com",
				Short:   "send the visitors of one name of an app to another one",
			},
			Run:  setRedirect,
			Text: printProgress,
		},
		Stream[unsetRedirectInput, Progress]{
			Head: Head{
				Name: "redirect:unset", Group: Visitors, Needs: access.Operate,
				Example: "blog example.com",
				Short:   "answer at a name again",
			},
			Run:  unsetRedirect,
			Text: printProgress,
		},
	}
}

type redirectInput struct {
	App  string `json:"app" arg:"APP"`
	From string `json:"from" arg:"FROM"`
	To   string `json:"to" arg:"TO"`
}

func setRedirect(c *Call, in redirectInput, events Teller[Progress]) error {
	from, err := asciiName(in.From)
	if err != nil {
		return wrong("from", "%w", err)
	}
	to, err := asciiName(in.To)
	if err != nil {
		return wrong("to", "%w", err)
	}
	err = c.changeWanted(in.App, from+" to "+to, func(app volume.App, w *volume.Wanted) error {
		has := func(name string) bool {
			matches := func(domain string) bool { return volume.MatchDomain(domain, name) }
			return name == c.defaultHost(app) || slices.ContainsFunc(w.Names.Domains, matches)
		}
		for _, name := range []string{from, to} {
			if !has(name) {
				return conflict("domains:add "+app.Name+" "+name+" adds it",
					"%s does not answer at %s", app.Name, name)
			}
		}
		_, redirected := w.Names.Redirects[to]
		switch {
		case from == to || strings.HasPrefix(to, "*."):
			return wrong("to", "%s cannot be redirected to %s", from, to)
		case redirected || slices.Contains(slices.Collect(maps.Values(w.Names.Redirects)), from):
			return conflict("", "visitors would be redirected twice; see domains %s", app.Name)
		}
		w.Names.Redirects = with(w.Names.Redirects, from, to)
		return nil
	})
	if err == nil {
		progress{events}.step("%s sends visitors of %s to %s",
			in.App, unicodeName(from), unicodeName(to))
	}
	return err
}

type unsetRedirectInput struct {
	App  string `json:"app" arg:"APP"`
	From string `json:"from" arg:"FROM"`
}

func unsetRedirect(c *Call, in unsetRedirectInput, events Teller[Progress]) error {
	from, err := asciiName(in.From)
	if err != nil {
		return wrong("from", "%w", err)
	}
	err = c.changeWanted(in.App, from, func(app volume.App, w *volume.Wanted) error {
		if _, ok := w.Names.Redirects[from]; !ok {
			err := fmt.Errorf("%s is not redirected", from)
			return &Fault{Kind: NotFound, Field: "from", Err: err}
		}
		w.Names.Redirects = maps.Clone(w.Names.Redirects)
		delete(w.Names.Redirects, from)
		return nil
	})
	if err == nil {
		progress{events}.step("%s answers at %s", in.App, unicodeName(from))
	}
	return err
}
