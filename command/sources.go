package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"paas/builder/cmdline"
	"paas/git"
	"paas/remote"
	"paas/volume"
)

func sourceRows() []Row {
	return []Row{
		Verb[sourceInput, sourceAnswer]{
			Head: Head{
				Name: "source", Group: Sources,
				Example: "blog",
				Short:   "show which apps follow a remote repository, and the state of each",
			},
			Run:  showSource,
			Text: printSource,
		},
		Stream[setSourceInput, Progress]{
			Head: Head{
				Name: "source:set", Group: Sources,
				Example: "blog https://git.example.com/me/blog.git --branch main",
				Short:   "make an app follow a remote repository",
			},
			Run:  setSource,
			Text: printProgress,
		},
		Stream[syncInput, Progress]{
			Head: Head{
				Name: "source:sync", Group: Sources,
				Aliases: []string{"git:sync"},
				Example: "blog",
				Short:   "look now, and deploy what is there even if it failed before; URL is followed from now on",
			},
			Run:  syncSource,
			Text: printProgress,
		},
		Verb[appInput, webhook]{
			Head: Head{
				Name: "source:webhook", Group: Sources,
				Example: "blog",
				Short:   "show the address and the secret of the webhook that makes the server look at once",
			},
			Run:  showWebhook,
			Text: printWebhook,
		},
		Verb[appInput, unfollowed]{
			Head: Head{
				Name: "source:unset", Group: Sources,
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

type sourceInput struct {
	App string `json:"app" arg:"[APP]"`
}

// sourceAnswer is one app's source, or those of all apps.
type sourceAnswer struct {
	one *SourceInfo
	all []SourceInfo
}

func (a sourceAnswer) inJSON() any {
	if a.one != nil {
		return a.one
	}
	return a.all
}

func showSource(c *Call, in sourceInput) (sourceAnswer, error) {
	if in.App == "" {
		all, err := c.sources()
		return sourceAnswer{all: all}, err
	}
	app, s, err := c.source(in.App)
	if err != nil {
		return sourceAnswer{}, err
	}
	i, err := c.sourceInfo(app, s)
	return sourceAnswer{one: &i}, err
}

// sources describes every source. A damaged one is no error: its State is "damaged".
func (c *Call) sources() ([]SourceInfo, error) {
	names, err := c.Volume.Apps()
	if err != nil {
		return nil, err
	}
	var all []SourceInfo
	for _, name := range names {
		app, err := c.App(name)
		if err != nil {
			continue // destroyed since
		}
		s, ok, err := app.Source()
		if err == nil && !ok {
			continue
		}
		i := SourceInfo{App: name}
		if err == nil {
			i, err = c.sourceInfo(app, s)
		}
		if volume.IsDamage(err) {
			i.State, i.Reason, err = "damaged", err.Error(), nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

func printSource(p *Page, a sourceAnswer) {
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

// source is the source of the app of that name. It is a fault if the app has none.
func (c *Call) source(name string) (app volume.App, s volume.Source, err error) {
	if app, err = c.App(name); err != nil {
		return app, s, err
	}
	s, ok, err := app.Source()
	if err == nil && !ok {
		err = conflict("source:set "+app.Name+" URL makes it do so", "%s follows no repository", app.Name)
	}
	return app, s, err
}

type setSourceInput struct {
	App        string   `json:"app" arg:"APP"`
	URL        string   `json:"url" arg:"URL"`
	Branch     string   `json:"branch" flag:"branch" value:"B" help:"the branch to follow; none: the repository's default branch"`
	Tag        string   `json:"tag" flag:"tag" value:"PATTERN" help:"follow tags instead: the newest version that matches, such as v* or v2.*"`
	Commit     string   `json:"commit" flag:"commit" value:"C" help:"stay at this commit; all 40 digits"`
	Every      Duration `json:"every" flag:"every" value:"TIME" default:"10s" help:"how often to look, 1s to 24h"`
	Token      bool     `json:"token" flag:"token" help:"read a password or access token for https from standard input"`
	Key        bool     `json:"key" flag:"key" help:"read a private key for ssh from standard input; without it one is made"`
	NewHostKey bool     `json:"new_host_key" flag:"new-host-key" help:"trust the key that the host shows now, where it has changed"`
}

func setSource(c *Call, in setSourceInput, events Teller[Progress]) error {
	p := progress{events}
	app, s, err := c.follow(in, p)
	if err != nil {
		return err
	}
	return c.tryLook(app, s, p)
}

// follow makes the app follow a repository.
func (c *Call) follow(in setSourceInput, p progress) (app volume.App, s volume.Source, err error) {
	s = volume.Source{
		URL: in.URL, Branch: in.Branch, Tag: in.Tag, Commit: in.Commit, Every: time.Duration(in.Every),
	}
	if err := checkSource(in.App, s); err != nil {
		return app, s, err
	}
	token, key, err := c.readSecret(in)
	if err != nil {
		return app, s, err
	}
	// Before anything is created, and before the turn: nobody should wait for a stranger's server.
	host, err := c.hostToTrust(in, p)
	if err != nil {
		return app, s, err
	}
	if _, err := c.appOrNew(in.App); err != nil {
		return app, s, err
	}
	app, done, err := c.turn(in.App)
	if err != nil {
		return app, s, err
	}
	defer done()
	if err := c.keepCredentials(app, s.URL, token, key, host); err != nil {
		return app, s, err
	}
	if err := app.SetSource(s); err != nil {
		return app, s, err
	}
	done()
	c.did(app.Name, plain(s.URL))
	p.step("%s follows %s, checked every %s", app.Name, s.URL, s.Every)
	return app, s, nil
}

func checkSource(name string, s volume.Source) error {
	if err := volume.CheckName(name); err != nil {
		return wrong("app", "%w", err)
	}
	if err := remote.CheckURL(s.URL); err != nil {
		return wrong("url", "%w", err)
	}
	ref := remote.Ref{Branch: s.Branch, Tag: s.Tag, Commit: s.Commit}
	if err := ref.Check(); err != nil {
		return wrong(ref.Kind(), "%w", err)
	}
	if s.Every < volume.MinEvery || s.Every > volume.MaxEvery {
		return wrong("every", "--every is a time from 1s to 24h, not %s", s.Every)
	}
	return nil
}

// readSecret reads what --token or --key asks for from standard input: everybody on the machine
// could read it on a command line.
func (c *Call) readSecret(in setSourceInput) (token, key []byte, err error) {
	ssh := remote.IsSSH(in.URL)
	switch {
	case in.Token && ssh:
		return nil, nil, wrong("token", "--token is for https; ssh takes a --key")
	case in.Key && !ssh:
		return nil, nil, wrong("key", "--key is for ssh; https takes a --token")
	case !in.Token && !in.Key:
		return nil, nil, nil
	}
	content, err := readAll(c, c.Stdin)
	if err != nil {
		return nil, nil, err
	}
	if in.Key {
		if _, err := remote.PublicKey(content); err != nil {
			return nil, nil, err
		}
		return nil, content, nil
	}
	token = bytes.TrimSpace(content)
	if len(token) == 0 || bytes.ContainsAny(token, " \t\r\n") {
		return nil, nil, wrong("token", "--token reads one word from standard input: ... --token < FILE")
	}
	return token, nil, nil
}

// appOrNew is the app of that name. It is made if there is none, as by a push.
func (c *Call) appOrNew(name string) (volume.App, error) {
	app, err := c.App(name)
	if errors.Is(err, volume.ErrNoApp) {
		return c.Volume.Create(name)
	}
	return app, err
}

// keepCredentials stores what the host at url asks for, before the first look.
func (c *Call) keepCredentials(app volume.App, url string, token, key, host []byte) error {
	credentials := c.Volume.Credentials(app.Name)
	if old, ok, _ := app.Source(); token == nil && !(ok && old.URL == url) {
		if err := credentials.Remove(volume.SourceToken); err != nil { // it was meant for another host
			return err
		}
	}
	if token != nil {
		if err := credentials.Set(volume.SourceToken, token); err != nil {
			return err
		}
	}
	if !remote.IsSSH(url) {
		return nil
	}
	if key == nil {
		if old, err := credentials.Get(volume.SourceKey); err != nil {
			return err
		} else if old == nil {
			if key, _, err = remote.NewKey(app.Name + "@" + c.SSHHost()); err != nil {
				return err
			}
		}
	}
	if key != nil {
		if err := credentials.Set(volume.SourceKey, key); err != nil {
			return err
		}
	}
	if host == nil {
		return nil
	}
	return credentials.Set(volume.SourceKnownHosts, host)
}

// hostToTrust is the known_hosts line of the key that the URL's host shows, the first time and when
// the caller asks to trust it; else nil.
func (c *Call) hostToTrust(in setSourceInput, p progress) ([]byte, error) {
	if !remote.IsSSH(in.URL) {
		return nil, nil
	}
	known, err := c.Volume.Credentials(in.App).Get(volume.SourceKnownHosts)
	if err != nil {
		return nil, err
	}
	if !in.NewHostKey && remote.KnowsHost(known, in.URL) {
		return nil, nil
	}
	line, fingerprint, err := remote.HostKey(c, in.URL)
	if err != nil {
		return nil, err
	}
	p.step("The host's key is %s", fingerprint)
	p.detail("it is trusted from now on; compare it with what the host publishes")
	return []byte(line + "\n"), nil
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
