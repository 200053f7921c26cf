package command

import (
	"errors"
	"fmt"
	"os"

	"paas/access"
)

func keyRows() []Row {
	return []Row{
		Verb[struct{}, []access.Key]{
			Head: Head{
				Name: "keys", Group: Keys, Needs: Admin,
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
				Name: "keys:add", Group: Keys, Needs: Admin,
				Example: "alice --admin < alice.pub",
				Short:   "add a public key, or those of an authorized_keys file, from FILE or standard input",
				More: "Keys of a NAME that is here already are added to theirs. Options from= and " +
					"expiry-time= in front\nof a key count. The very first key of a server is an admin's.",
			},
			Run: addKey,
			Text: func(p *Page, added []access.Key) {
				for _, k := range added {
					admin := ""
					if k.Role == access.Admin {
						admin = ", an admin"
					}
					p.line("added %s's key %s%s", k.Name, k.Fingerprint, admin)
				}
				if len(added) == 0 {
					p.line("all of these keys are here already")
				}
			},
		},
		Verb[keyInput, removed]{
			Head: Head{
				Name: "keys:remove", Group: Keys, Needs: Admin,
				Example: "alice",
				Short:   "remove a key",
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
	Name string `json:"name" arg:"NAME"`
}

type addKeyInput struct {
	Name  string `json:"name" arg:"NAME"`
	File  string `json:"file" arg:"[FILE]"`
	Admin bool   `json:"admin" flag:"admin" help:"may add and remove keys too"`
}

func addKey(c *Call, in addKeyInput) ([]access.Key, error) {
	from := c.Stdin
	if in.File != "" && in.File != "-" {
		if c.Caller.Remote {
			return nil, wrong("file",
				"over SSH the key comes on standard input: keys:add NAME < FILE")
		}
		f, err := os.Open(in.File)
		if err != nil {
			return nil, wrong("file", "%s cannot be read: %w", in.File, errors.Unwrap(err))
		}
		defer f.Close()
		from = f
	} else if f, ok := c.Stdin.(*os.File); ok && !c.Caller.Remote {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(c.Stderr, "paste the public key, then Ctrl-D:")
		}
	}
	public, err := readAll(c, from)
	if err != nil {
		return nil, err
	}
	how := access.Adding{Name: in.Name}
	if in.Admin {
		how.Role = access.Admin
	}
	added, err := c.Keys.Add(string(public), how)
	for _, key := range added {
		c.did("", key.Name+" "+key.Fingerprint)
	}
	return added, err
}
