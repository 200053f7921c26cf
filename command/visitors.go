package command

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"paas/access"
	"paas/volume"
)

func visitorRows() []Row {
	return []Row{
		maintenanceRow("maintenance:on", "maintenance:enable", true,
			"answer all visitors with 503, and maintenance.html of the tree's error-pages folder"),
		maintenanceRow("maintenance:off", "maintenance:disable", false, "let visitors in again"),
		Verb[userInput, rulesAnswer]{
			Head: Head{
				Name: "auth:set", Group: Visitors, Needs: access.Operate,
				Example: "blog alice < password",
				Short:   "ask visitors for a user name and a password, which is read from standard input",
			},
			Run: setUser,
			Text: func(p *Page, a rulesAnswer) {
				p.line("%s asks visitors for a password; it has those of %s", a.App, strings.Join(a.Users, ", "))
				p.later(a)
			},
		},
		Verb[userInput, rulesAnswer]{
			Head: Head{
				Name: "auth:unset", Group: Visitors, Needs: access.Operate,
				Example: "blog alice",
				Short:   "remove a user's password; without the last one, visitors need none",
			},
			Run: unsetUser,
			Text: func(p *Page, a rulesAnswer) {
				if len(a.Users) == 0 {
					p.line("%s asks visitors for no password any more", a.App)
				} else {
					p.line("%s still has passwords of %s", a.App, strings.Join(a.Users, ", "))
				}
				p.later(a)
			},
		},
		Verb[allowInput, rulesAnswer]{
			Head: Head{
				Name: "allow:set", Group: Visitors, Needs: access.Operate,
				Example: "blog 203.0.113.0/24 2001:db8::7",
				Short:   "let in only visitors from these IP addresses and ranges; off lets all in",
			},
			Run: setAllow,
			Text: func(p *Page, a rulesAnswer) {
				if len(a.Allow) == 0 {
					p.line("%s takes visitors from everywhere", a.App)
				} else {
					p.line("%s takes visitors from %s, and no others", a.App, strings.Join(a.Allow, ", "))
				}
				p.later(a)
			},
		},
	}
}

// rulesAnswer is what the front door demands of an app's visitors.
type rulesAnswer struct {
	App         string   `json:"app"`
	Maintenance bool     `json:"maintenance"`
	Users       []string `json:"users"`
	Allow       []string `json:"allow"`
	MaxBody     int64    `json:"max_body,omitempty"`

	Later bool `json:"later,omitempty"` // it takes effect when the server starts
}

// later says so if the answer is not in effect yet.
func (p *Page) later(a rulesAnswer) {
	if a.Later {
		p.line(laterText)
	}
}

func maintenanceRow(name, alias string, on bool, short string) Row {
	return Verb[appInput, rulesAnswer]{
		Head: Head{
			Name: name, Group: Visitors, Needs: access.Operate, Aliases: []string{alias},
			Example: "blog", Short: short,
		},
		Run: func(c *Call, in appInput) (rulesAnswer, error) {
			return c.changeRules(in.App, "", func(r *volume.Rules) error {
				r.Maintenance = on
				return nil
			})
		},
		Text: func(p *Page, a rulesAnswer) {
			if a.Maintenance {
				p.line("%s is under maintenance: visitors get 503 until maintenance:off %s", a.App, a.App)
			} else {
				p.line("%s lets visitors in", a.App)
			}
			p.later(a)
		},
	}
}

// changeRules changes what the front door demands of the app's visitors.
func (c *Call) changeRules(
	name, note string, change func(*volume.Rules) error,
) (a rulesAnswer, err error) {
	err = c.changeWanted(name, note, func(_ volume.App, w *volume.Wanted) error {
		w.Rules.Users = copyOf(w.Rules.Users)
		before := w.Rules
		before.Users = copyOf(before.Users)
		err := change(&w.Rules)
		a = rulesAnswer{
			App: name, Maintenance: w.Rules.Maintenance, Allow: listed(w.Rules.Allow), MaxBody: w.Rules.MaxBody,
			Users: listed(slices.Sorted(maps.Keys(w.Rules.Users))),
			Later: !c.serving() && !reflect.DeepEqual(before, w.Rules),
		}
		return err
	})
	return a, err
}

type userInput struct {
	App  string `json:"app" arg:"APP"`
	User string `json:"user" arg:"USER"`
}

func setUser(c *Call, in userInput) (rulesAnswer, error) {
	if !isUser(in.User) {
		return rulesAnswer{}, wrong("user", "a user name has up to 100 bytes, and no spaces or colons")
	}
	if _, err := c.App(in.App); err != nil { // before a person types a password
		return rulesAnswer{}, err
	}
	c.prompt("type the password and Enter, then Ctrl-D:")
	content, err := readAll(c, c.Stdin)
	if err != nil {
		return rulesAnswer{}, err
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return rulesAnswer{}, &Fault{
			Kind: Usage, Err: errors.New("standard input must have one line, the password"),
			Next: "auth:set " + in.App + " " + plain(in.User) + " < FILE",
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), c.PasswordCost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return rulesAnswer{}, wrong("", "a password has at most 72 bytes")
	}
	if err != nil {
		return rulesAnswer{}, err
	}
	return c.changeRules(in.App, in.User, func(r *volume.Rules) error {
		if r.Users[in.User] = string(hash); len(r.Users) > maxUsers {
			return conflict("", "%s has %d users; no app can have more", in.App, maxUsers)
		}
		return nil
	})
}

func unsetUser(c *Call, in userInput) (rulesAnswer, error) {
	return c.changeRules(in.App, in.User, func(r *volume.Rules) error {
		if _, there := r.Users[in.User]; !there {
			fault := &Fault{
				Kind: NotFound, Field: "user", Err: fmt.Errorf("%s has no user %q", in.App, plain(in.User)),
				Next: "it asks visitors for no password",
			}
			if len(r.Users) > 0 {
				fault.Next = "it has " + strings.Join(slices.Sorted(maps.Keys(r.Users)), ", ")
			}
			return fault
		}
		delete(r.Users, in.User)
		return nil
	})
}

type allowInput struct {
	App       string   `json:"app" arg:"APP"`
	Addresses []string `json:"addresses" arg:"ADDRESS..."`
}

func setAllow(c *Call, in allowInput) (rulesAnswer, error) {
	var allow []string
	if !slices.Equal(in.Addresses, []string{"off"}) {
		for _, word := range in.Addresses {
			entry, err := parseRange(word)
			if err != nil {
				return rulesAnswer{}, wrong("addresses", "%w", err)
			}
			allow = append(allow, entry)
		}
	}
	if len(allow) > maxAllow {
		return rulesAnswer{}, wrong("addresses", "at most %d addresses and ranges, not %d", maxAllow, len(allow))
	}
	return c.changeRules(in.App, strings.Join(in.Addresses, " "), func(r *volume.Rules) error {
		r.Allow = allow
		return nil
	})
}
