package command

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/volume"
)

func tokenRows() []Row {
	return []Row{
		Verb[struct{}, []TokenInfo]{
			Head: Head{
				Name: "tokens", Group: Keys, Needs: access.Guest,
				Example: "--format json",
				Short:   "list your tokens; admins see those of all",
			},
			Run:  listTokens,
			Text: printTokens,
		},
		Verb[createTokenInput, createdToken]{
			Head: Head{
				Name: "tokens:create", Group: Keys, Needs: access.Guest,
				Example: "ci --app blog --can deploy --expires 90d",
				Short:   "make a token, the password of git over HTTPS, and print it this once",
				More: "A token never allows more than its owner may do at that moment. It has no rights on " +
					"the server:\nit makes no apps, keys or tokens.",
			},
			Run: createToken,
			Text: func(p *Page, t createdToken) {
				p.info("this is the only time that the token is shown; it ends at %s", when(t.Expires))
				p.line("%s", t.Token.Reveal())
			},
		},
		Verb[tokenInput, removed]{
			Head: Head{
				Name: "tokens:revoke", Group: Keys, Needs: access.Guest,
				Example: "ci",
				Short:   "end a token at once",
			},
			Run:  revokeToken,
			Text: func(p *Page, r removed) { p.line("revoked %s", r.Name) },
		},
	}
}

// TokenInfo describes a token.
type TokenInfo struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Owner   string       `json:"owner"`          // empty: the server's owner
	Can     access.Right `json:"can"`            // at most
	Apps    []string     `json:"apps,omitempty"` // only these; none: all of the owner's
	Expires time.Time    `json:"expires"`
	Expired bool         `json:"expired"`
	Used    time.Time    `json:"used,omitzero"` // last, to the minute; zero: never
}

func listTokens(c *Call, _ struct{}) (all []TokenInfo, err error) {
	tokens, err := c.tokens()
	if err != nil {
		return nil, err
	}
	names, err := c.appNames()
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		i := TokenInfo{
			ID: t.ID, Name: t.Name, Owner: t.Owner, Can: t.Can, Used: t.Used,
			Expires: t.Expires, Expired: !time.Now().Before(t.Expires),
		}
		for _, id := range t.Apps {
			i.Apps = append(i.Apps, cmp.Or(names[id], "(gone)"))
		}
		all = append(all, i)
	}
	return all, nil
}

func printTokens(p *Page, all []TokenInfo) {
	if len(all) == 0 {
		p.line("no tokens; tokens:create NAME --app APP makes one")
		return
	}
	const heading = "NAME\tOWNER\tCAN\tAPPS\tEXPIRES\tLAST USE\tID"
	list(p, all, heading, func(t TokenInfo) string {
		expires := when(t.Expires)
		if t.Expired {
			expires = "expired"
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", t.Name, cmp.Or(t.Owner, "the server"), t.Can,
			cmp.Or(strings.Join(t.Apps, " "), "all"), expires, when(t.Used), t.ID)
	})
}

// tokens are the tokens that the caller may see.
func (c *Call) tokens() ([]access.Token, error) {
	if c.isAdmin() {
		return c.Tokens.List("")
	}
	return c.Tokens.List(c.Caller.Name)
}

// appNames are the names of all apps that the caller may see, by identity.
func (c *Call) appNames() (map[string]string, error) {
	names := map[string]string{}
	err := c.eachApp("", func(app volume.App) error {
		id, _ := access.AppID(app) // one that is lost has no name here
		names[id] = app.Name
		return nil
	})
	return names, err
}

type createTokenInput struct {
	Name    string       `json:"name" arg:"NAME"`
	Apps    []string     `json:"apps" flag:"app,a" value:"APP" help:"only for this app; any number of times"`
	Can     access.Right `json:"can" flag:"can" value:"RIGHT" default:"deploy" help:"at most so much: view, deploy, operate or manage"`
	Expires string       `json:"expires" flag:"expires" value:"TIME" default:"90d" help:"for so long, such as 12h or 90d"`
}

// createdToken is the answer that shows a token.
type createdToken struct {
	TokenInfo
	Token Secret `json:"token"`
}

func (t createdToken) inJSON() any {
	return struct {
		TokenInfo
		Token string `json:"token"`
	}{t.TokenInfo, t.Token.Reveal()}
}

// longestToken is how long a token may count.
const longestToken = 10 * 366 * 24 * time.Hour

func createToken(c *Call, in createTokenInput) (createdToken, error) {
	if !in.Can.OnApp() {
		return createdToken{}, wrong("can", "--can is view, deploy, operate or manage, not %s", in.Can)
	}
	lasts, err := parseAge(in.Expires)
	if err != nil || lasts <= 0 || lasts > longestToken {
		return createdToken{}, wrong("expires", "--expires is a time such as 12h or 90d, at most ten "+
			"years, not %q", plain(in.Expires))
	}
	t := access.Token{Name: in.Name, Can: in.Can}
	t.Expires = time.Now().Add(lasts).UTC().Truncate(time.Second)
	if !c.Caller.IsLocal() {
		t.Owner = c.Caller.Name
	}
	for _, name := range in.Apps {
		app, err := c.App(name)
		if err != nil {
			return createdToken{}, err
		}
		id, err := access.AppID(app)
		if err != nil {
			return createdToken{}, err
		}
		t.Apps = append(t.Apps, id)
	}
	secret, t, err := c.Tokens.Create(t)
	if err != nil {
		return createdToken{}, err
	}
	c.did("", strings.TrimSpace(fmt.Sprintf("%s %s, can %s %s", t.Name, t.ID, t.Can, strings.Join(in.Apps, " "))))
	return createdToken{
		TokenInfo{ID: t.ID, Name: t.Name, Owner: t.Owner, Can: t.Can, Apps: in.Apps, Expires: t.Expires},
		Secret(secret),
	}, nil
}

type tokenInput struct {
	Name string `json:"name" arg:"NAME|ID"`
}

func revokeToken(c *Call, in tokenInput) (removed, error) {
	all, err := c.tokens()
	if err != nil {
		return removed{}, err
	}
	named := slices.DeleteFunc(all, func(t access.Token) bool { return t.Name != in.Name && t.ID != in.Name })
	if own := slices.IndexFunc(named, func(t access.Token) bool { return t.Owner == c.Caller.Name }); own >= 0 {
		named = named[own : own+1]
	}
	switch {
	case len(named) == 0:
		err := fmt.Errorf("no token %q", plain(in.Name))
		return removed{}, &Fault{Kind: NotFound, Field: "name", Err: err, Next: "tokens lists those there are"}
	case len(named) > 1:
		return removed{}, conflict("name the ID that tokens lists", "%d tokens are called %s", len(named), in.Name)
	}
	if err := c.Tokens.Revoke(named[0].ID); err != nil {
		return removed{}, err
	}
	c.did("", named[0].Name+" "+named[0].ID)
	return removed{named[0].Name}, nil
}
