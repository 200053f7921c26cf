package command

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"paas/access"
	"paas/volume"
)

func keyRows() []Row {
	return []Row{
		Verb[struct{}, []access.Key]{
			Head: Head{
				Name: "keys", Group: Keys, Needs: access.Admin,
				Example: "--format json",
				Short:   "list the keys that have access",
			},
			Run: func(c *Call, _ struct{}) ([]access.Key, error) { return c.Keys.List() },
			Text: func(p *Page, keys []access.Key) {
				if len(keys) == 0 {
					p.line("no keys yet; paas keys:add NAME ~/.ssh/id_ed25519.pub adds one, " +
						"and the first is an admin")
					return
				}
				list(p, keys, "NAME\tROLE\tTYPE\tFINGERPRINT\tLAST USE\tEXPIRES\tCOMMENT", func(k access.Key) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", k.Name, k.Role, k.Type, k.Fingerprint,
						when(k.Used), when(k.Expires), orNone(plain(k.Comment)))
				})
			},
		},
		Verb[addKeyInput, []access.Key]{
			Head: Head{
				Name: "keys:add", Group: Keys, Needs: access.Admin,
				Example: "carol carol.pub --guest",
				Short:   "add a public key, or those of an authorized_keys file, from FILE or standard input",
				More: "Keys of a NAME that is here already are added to theirs. The options from= and " +
					"expiry-time= in\nfront of a key count. The very first key of a server is an admin's.",
			},
			Run: addKey,
			Text: func(p *Page, added []access.Key) {
				for _, k := range added {
					p.line("added %s's key %s, of %s", k.Name, k.Fingerprint, roleNames[k.Role])
				}
				if len(added) == 0 {
					p.line("these keys are here already, and stay as they are")
				}
			},
		},
		Verb[roleInput, roleInput]{
			Head: Head{
				Name: "keys:role", Group: Keys, Needs: access.Admin,
				Example: "carol guest",
				Short:   "make somebody a guest, a member or an admin",
			},
			Run: func(c *Call, in roleInput) (roleInput, error) {
				if roleNames[in.Role] == "" {
					return in, wrong("role", "a role is guest, member or admin, not %s", in.Role)
				}
				err := c.Keys.SetRole(in.Name, in.Role)
				if err == nil {
					c.did("", in.Name+" "+in.Role.String())
				}
				return in, err
			},
			Text: func(p *Page, r roleInput) { p.line("%s is %s", r.Name, roleNames[r.Role]) },
		},
		Verb[keyInput, removed]{
			Head: Head{
				Name: "keys:remove", Group: Keys, Needs: access.Admin,
				Example: "alice",
				Short:   "remove a person with all keys, tokens and rights, or one key by its fingerprint",
			},
			Run: func(c *Call, in keyInput) (removed, error) {
				err := c.Keys.Remove(in.Name)
				if err == nil {
					c.did("", in.Name)
				}
				return removed(in), err
			},
			Text: printRemoved,
		},
	}
}

type keyInput struct {
	Name string `json:"name" arg:"NAME|FINGERPRINT"`
}

type roleInput struct {
	Name string       `json:"name" arg:"NAME"`
	Role access.Right `json:"role" arg:"ROLE"`
}

// roleNames are the roles, with their articles.
var roleNames = map[access.Right]string{
	access.Guest: "a guest", access.Member: "a member", access.Admin: "an admin",
}

type addKeyInput struct {
	Name    string `json:"name" arg:"NAME"`
	File    string `json:"file" arg:"[FILE]"`
	Admin   bool   `json:"admin" flag:"admin" help:"may do everything, and add and remove keys"`
	Member  bool   `json:"member" flag:"member" help:"may make apps, and manages those; the default"`
	Guest   bool   `json:"guest" flag:"guest" help:"may do only what is granted with access:add"`
	Deploy  string `json:"deploy" flag:"deploy" value:"APP" help:"a guest who may deploy this app"`
	Expires string `json:"expires" flag:"expires" value:"TIME" help:"for so long, such as 12h or 90d; otherwise for ever"`
}

// adding is how the input wants keys to be added.
func (in addKeyInput) adding() (access.Adding, error) {
	a := access.Adding{Name: in.Name}
	asked := map[access.Right]bool{
		access.Admin: in.Admin, access.Member: in.Member, access.Guest: in.Guest || in.Deploy != "",
	}
	maps.DeleteFunc(asked, func(_ access.Right, is bool) bool { return !is })
	for role := range asked {
		a.Role = role
	}
	if len(asked) > 1 {
		return a, wrong("admin", "--admin, --member and --guest exclude each other, and --deploy is for a guest")
	}
	if in.Expires != "" {
		lasts, err := parseAge(in.Expires)
		if err != nil || lasts <= 0 {
			return a, wrong("expires", "--expires is a time such as 12h or 90d, not %q", plain(in.Expires))
		}
		a.Expires = time.Now().Add(lasts)
	}
	return a, nil
}

func addKey(c *Call, in addKeyInput) ([]access.Key, error) {
	how, err := in.adding()
	if err != nil {
		return nil, err
	}
	is, err := c.Keys.RoleOf(in.Name)
	if err != nil {
		return nil, err
	}
	if is != access.None && how.Role != access.None && is != how.Role {
		next := fmt.Sprintf("keys:role %s %s changes that", in.Name, how.Role)
		return nil, conflict(next, "%s is here already, and is %s", in.Name, roleNames[is])
	}
	var app volume.App
	if in.Deploy != "" {
		if app, err = c.App(in.Deploy); err != nil {
			return nil, err
		}
	}
	public, err := c.publicKeys(in)
	if err != nil {
		return nil, err
	}
	added, err := c.Keys.Add(public, how)
	for _, key := range added {
		c.did("", fmt.Sprintf("%s %s, %s", key.Name, key.Fingerprint, key.Role))
	}
	if err == nil && in.Deploy != "" {
		if err = c.Rights.Grant(app, in.Name, access.Deploy); err == nil {
			c.did(app.Name, in.Name+" deploy")
		}
	}
	return added, err
}

// publicKeys reads the keys that the input names.
func (c *Call) publicKeys(in addKeyInput) (string, error) {
	from := c.Stdin
	if in.File != "" && in.File != "-" {
		if !c.Caller.IsLocal() {
			return "", wrong("file", "over SSH the key comes on standard input: keys:add NAME < FILE")
		}
		f, err := os.Open(in.File)
		if err != nil {
			return "", wrong("file", "%s cannot be read: %w", in.File, errors.Unwrap(err))
		}
		defer f.Close()
		from = f
	} else {
		c.prompt("paste the public key, then Ctrl-D:")
	}
	public, err := readAll(c, from)
	return string(public), err
}
