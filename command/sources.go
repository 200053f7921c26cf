package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"paas/access"
	"paas/builder/cmdline"
	"paas/git"
	"paas/remote"
	"paas/volume"
)

func sourceRows() []Row {
	return []Row{
		Verb[optionalApp, oneOrAll[SourceInfo]]{
			Head: Head{
				Name: "source", Group: Sources, Needs: access.View,
				Example: "blog",
				Short:   "show which apps follow a remote repository, and the state of each",
			},
			Run:  showSource,
			Text: printSource,
		},
		Stream[setSourceInput, Progress]{
			Head: Head{
				Name: "source:set", Group: Sources, Needs: access.Manage,
				Example: "blog https://git.example.com/me/blog.git --branch main",
				Short:   "make an app follow a remote repository",
			},
			Run:  setSource,
			Text: printProgress,
		},
		Stream[syncInput, Progress]{
			Head: Head{
				Name: "source:sync", Group: Sources, Needs: access.Deploy,
				Aliases: []string{"git:sync"},
				Example: "blog",
				Short:   "look now, and deploy what is there even if it failed before; URL is followed from now on",
			},
			Run:  syncSource,
			Text: printProgress,
		},
		Verb[appInput, webhook]{
			Head: Head{
				Name: "source:webhook", Group: Sources, Needs: access.Manage,
				Example: "blog",
				Short:   "show the address and the secret of the webhook that makes the server look at once",
			},
			Run:  showWebhook,
			Text: printWebhook,
		},
		Verb[appInput, unfollowed]{
			Head: Head{
				Name: "source:unset", Group: Sources, Needs: access.Manage,
				Example: "blog",
				Short:   "stop following; what is live stays",
			},
			Run: unsetSource,
			Text: func(p *Page, u unfollowed) {
				p.line("%s follows nothing any more; git push deploys it", u.App)
			},
		},
	}
}

func showSource(c *Call, in optionalApp) (oneOrAll[SourceInfo], error) {
	if in.App == "" {
		all, err := c.sources()
		return oneOrAll[SourceInfo]{all: all}, err
	}
	app, s, err := c.source(in.App)
	if err != nil {
		return oneOrAll[SourceInfo]{}, err
	}
	i, err := c.sourceInfo(app, s)
	return oneOrAll[SourceInfo]{one: &i}, err
}

// sources describes every source. A damaged one is no error: its State is "damaged".
func (c *Call) sources() (all []SourceInfo, err error) {
	err = c.eachApp("", func(app volume.App) error {
		s, ok, err := app.Source()
		if err == nil && !ok {
			return nil
		}
		i := SourceInfo{App: app.Name}
		if err == nil {
			i, err = c.sourceInfo(app, s)
		}
		if volume.IsDamage(err) {
			i.State, i.Reason, err = "damaged", err.Error(), nil
		}
		all = append(all, i)
		return err
	})
	return all, err
}

func printSource(p *Page, a oneOrAll[SourceInfo]) {
	if a.one != nil {
		printOneSource(p, *a.one)
		return
	}
	if len(a.all) == 0 {
		p.line("no app follows a repository; source:set APP URL makes one do so")
		return
	}
	list(p, a.all, "APP\tSTATE\tCOMMIT\tEVERY\tURL\tREASON", func(i SourceInfo) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s",
			i.App, i.State, orNone(git.Short(i.Commit)), orNone(i.Every),
			orNone(plain(i.URL)), orNone(plain(i.Reason)))
	})
}

func printOneSource(p *Page, i SourceInfo) {
	p.table(func(t io.Writer) {
		fmt.Fprintf(t, "app\t%s\nurl\t%s\n", i.App, plain(i.URL))
		switch {
		case i.Tag != "":
			fmt.Fprintf(t, "tag\t%s\n", i.Tag)
		case i.StaysAt != "":
			fmt.Fprintf(t, "stays at\t%s\n", i.StaysAt)
		default:
			fmt.Fprintf(t, "branch\t%s\n", cmp.Or(i.Branch, "(the default one)"))
		}
		fmt.Fprintf(t, "every\t%s\nstate\t%s\n", i.Every, i.State)
		if i.Commit != "" {
			fmt.Fprintf(t, "commit\t%s (%s)\n", git.Short(i.Commit), releaseName(i.Release))
		}
		if i.Reason != "" {
			fmt.Fprintf(t, "reason\t%s\n", plain(i.Reason))
		}
		if !i.Looked.IsZero() {
			fmt.Fprintf(t, "looked\t%s\n", when(i.Looked))
		}
		if !i.Since.IsZero() {
			fmt.Fprintf(t, "since\t%s\n", when(i.Since))
		}
		if i.Key != "" {
			fmt.Fprintf(t, "key\t%s\n", i.Key)
		}
	})
}

func setSource(c *Call, in setSourceInput, events Teller[Progress]) error {
	p := progress{events}
	app, s, err := c.follow(in, p)
	if err != nil {
		return err
	}
	return c.tryLook(app, s, p)
}

// tryLook tells what a first look finds. A look that fails is no failure of the verb: what is
// missing can be put right at the other end.
func (c *Call) tryLook(app volume.App, s volume.Source, p progress) error {
	key, err := c.Volume.Credentials(app.Name).Get(volume.SourceKey)
	if err != nil {
		return err
	}
	if key != nil && remote.IsSSH(s.URL) {
		public, err := c.deployKey(app, key)
		if err != nil {
			return err
		}
		p.step("Give this deploy key read access to the repository:")
		p.tell(Progress{Event: DeployKey, Text: public})
	}
	head, err := c.Sidecar.Peek(c, app)
	if err != nil {
		p.note("%v", err)
		if errors.Is(err, remote.ErrIsTag) {
			p.note("To follow the tag: %s",
				c.how("source:set", app.Name+" "+s.URL+" --tag "+cmdline.Quote(s.Branch)))
		}
		if errors.Is(err, remote.ErrHostKey) {
			p.note("To trust the key that it shows now: %s",
				c.how("source:set", app.Name+" "+s.URL+" --new-host-key"))
		}
		p.note("The server tries again every %s; to try now: %s", s.Every, c.how("source:sync", app.Name))
		return nil
	}
	p.step("%s", head)
	if !c.Volume.Claimed(volume.RoleSidecar) {
		p.note("No sidecar runs, so nothing is deployed automatically; start one: paas serve sidecar")
	}
	return nil
}

// webhook is what a git host needs to know to call the server.
type webhook struct {
	App    string `json:"app"`
	URL    string `json:"url"` // empty: no sidecar takes webhooks now
	Secret string `json:"secret"`
}

func showWebhook(c *Call, in appInput) (webhook, error) {
	app, _, err := c.source(in.App)
	if err != nil {
		return webhook{}, err
	}
	secret, err := c.Volume.Credentials(app.Name).Webhook()
	return webhook{app.Name, c.Webhook(app.Name), secret}, err
}

func printWebhook(p *Page, w webhook) {
	if w.URL != "" {
		p.line("url     %s", w.URL)
	} else {
		p.warn("no sidecar takes webhooks now: start it with PAAS_SIDECAR_ADDR set, such as :8081")
	}
	p.line("secret  %s", w.Secret)
}

// unfollowed is an app that follows its source no more.
type unfollowed struct {
	App string `json:"app"`
	URL string `json:"url"`
}

func unsetSource(c *Call, in appInput) (unfollowed, error) {
	_, s, err := c.source(in.App)
	if err != nil {
		return unfollowed{}, err
	}
	app, done, err := c.turn(in.App)
	if err != nil {
		return unfollowed{}, err
	}
	defer done()
	if err := app.UnsetSource(); err != nil {
		return unfollowed{}, err
	}
	c.did(app.Name, plain(s.URL))
	return unfollowed{app.Name, s.URL}, nil
}
