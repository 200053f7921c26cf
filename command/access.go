package command

import (
	"fmt"

	"paas/access"
)

func accessRows() []Row {
	return []Row{
		Verb[appInput, []access.Grant]{
			Head: Head{
				Name: "access", Group: Keys, Needs: access.Manage,
				Example: "blog",
				Short:   "show who may do what with an app",
			},
			Run: func(c *Call, in appInput) ([]access.Grant, error) {
				app, err := c.App(in.App)
				if err != nil {
					return nil, err
				}
				return c.Rights.Grants(app)
			},
			Text: func(p *Page, grants []access.Grant) {
				list(p, grants, "WHO\tRIGHT\tWHY", func(g access.Grant) string {
					why := "granted"
					if g.Admin {
						why = "an admin"
					}
					return fmt.Sprintf("%s\t%s\t%s", g.Who, g.Right, why)
				})
			},
		},
		Verb[grantInput, granted]{
			Head: Head{
				Name: "access:add", Group: Keys, Needs: access.Manage,
				Example: "blog carol deploy",
				Short:   "let somebody view, deploy, operate or manage an app; each includes those before it",
				More:    rightsText,
			},
			Run: grant,
			Text: func(p *Page, g granted) {
				p.line("%s may %s %s", g.Who, g.Right, g.App)
			},
		},
		Verb[revokeInput, granted]{
			Head: Head{
				Name: "access:remove", Group: Keys, Needs: access.Manage,
				Example: "blog carol",
				Short:   "take from somebody what they were granted with an app",
			},
			Run: func(c *Call, in revokeInput) (granted, error) {
				app, err := c.App(in.App)
				if err == nil {
					err = c.Rights.Revoke(app, in.Who)
				}
				if err == nil {
					c.did(app.Name, in.Who)
				}
				return granted{App: in.App, Who: in.Who}, err
			},
			Text: func(p *Page, g granted) { p.line("%s has no access to %s", g.Who, g.App) },
		},
	}
}

const rightsText = `view     see releases, processes, settings and the names of config vars
deploy   push, fetch, roll back, restart, run commands, read logs and config vars
operate  scale, limit, put to sleep, change settings, storage, domains and who may visit
manage   say who has access and what is followed, rename, destroy`

type grantInput struct {
	App   string       `json:"app" arg:"APP"`
	Who   string       `json:"who" arg:"WHO"`
	Right access.Right `json:"right" arg:"RIGHT"`
}

type revokeInput struct {
	App string `json:"app" arg:"APP"`
	Who string `json:"who" arg:"WHO"`
}

// granted is what somebody may do with an app from now on.
type granted struct {
	App   string       `json:"app"`
	Who   string       `json:"who"`
	Right access.Right `json:"right"`
}

func grant(c *Call, in grantInput) (granted, error) {
	if !in.Right.OnApp() {
		return granted{}, wrong("right", "a right is view, deploy, operate or manage, not %s", in.Right)
	}
	app, err := c.App(in.App)
	if err == nil {
		err = c.Rights.Grant(app, in.Who, in.Right)
	}
	if err != nil {
		return granted{}, err
	}
	c.did(app.Name, fmt.Sprintf("%s %s", in.Who, in.Right))
	return granted{app.Name, in.Who, in.Right}, nil
}
