package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"paas/command"
	"paas/git"
	"paas/remote"
	"paas/say"
	"paas/volume"
)

var sourceVerbs = []verb{
	{use: "source [APP]", short: "which repositories elsewhere feed which apps, and how that goes", args: args(0, 1), flags: withFormat, run: showSources},
	{use: "source:set APP URL [--branch B] [--every 10s] [--token|--key]", short: "have an app follow a repository hosted elsewhere", args: args(2, 2), run: setSource,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("branch", "", "the branch to follow; none: the repository's default branch")
			cmd.Flags().Duration("every", volume.DefaultEvery, "how often to look, 1s to 24h")
			cmd.Flags().Bool("token", false, "read a password or access token for https from standard input")
			cmd.Flags().Bool("key", false, "read a private key for ssh from standard input; without it one is made")
			cmd.Flags().Bool("new-host-key", false, "trust the host's key anew, where it has changed")
		}},
	{use: "source:sync APP", short: "look now, and deploy what is there even if it failed before", args: args(1, 1), run: syncSource},
	{use: "source:webhook APP", short: "the address and the secret for a webhook, which has the app looked at once", args: args(1, 1), run: showWebhook},
	{use: "source:unset APP", short: "follow no more; what is live stays", args: args(1, 1), run: unsetSource},
}

// sourceInfo is what source says of one app.
type sourceInfo struct {
	App     string    `json:"app"`
	URL     string    `json:"url"`
	Branch  string    `json:"branch,omitempty"`
	Every   string    `json:"every"`
	State   string    `json:"state"`  // followed, failing, failed, waiting
	Commit  string    `json:"commit"` // the last one that was tried
	Release int       `json:"release,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Looked  time.Time `json:"looked,omitzero"`
	Since   time.Time `json:"since,omitzero"`
	Key     string    `json:"key,omitempty"` // public deploy key
}

func (c *call) sourceInfo(app volume.App, s volume.Source) (sourceInfo, error) {
	i := sourceInfo{App: app.Name, URL: s.URL, Branch: s.Branch, Every: s.Every.String(), State: "waiting"}
	l, err := app.Looked()
	if err != nil {
		return i, err
	}
	i.Commit, i.Release, i.Looked, i.Since = l.Commit, l.Release, l.At, l.Since
	switch {
	case l.Error != "":
		i.State, i.Reason = "failing", l.Error
	case l.Failed != "":
		i.State, i.Reason = "failed", l.Failed
	case l.Commit != "":
		i.State = "followed"
	}
	key, err := c.vol.Credentials(app.Name).Get(volume.SourceKey)
	if err != nil {
		return i, err
	}
	if public, err := c.deployKey(app, key); err == nil { // else the looks say what is wrong with it
		i.Key = public
	}
	return i, nil
}

// deployKey is the public half of key as git hosts are given it, with a name that says whose it is.
func (c *call) deployKey(app volume.App, key []byte) (string, error) {
	public, err := remote.PublicKey(key)
	return public + " " + app.Name + "@" + c.place(volume.RoleGit).Host, err
}

func showSources(c *call) error {
	names, err := c.vol.Apps()
	if err != nil {
		return err
	}
	if len(c.args) == 1 {
		return showSource(c)
	}
	var rows []sourceInfo
	for _, name := range names {
		app, err := c.vol.App(name)
		if err != nil {
			continue // destroyed since
		}
		s, ok, err := app.Source()
		if err == nil && !ok {
			continue
		}
		i := sourceInfo{App: name}
		if err == nil {
			i, err = c.sourceInfo(app, s)
		}
		if volume.IsDamage(err) {
			i.State, i.Reason, err = "damaged", err.Error(), nil
		}
		if err != nil {
			return err
		}
		rows = append(rows, i)
	}
	const none = "no app follows a repository elsewhere; source:set APP URL has one do so"
	return list(c, rows, none, "APP\tSTATE\tCOMMIT\tEVERY\tURL\tREASON", func(i sourceInfo) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", i.App, i.State, orNone(git.Short(i.Commit)), orNone(i.Every), orNone(plain(i.URL)), orNone(plain(i.Reason)))
	})
}

func showSource(c *call) error {
	app, s, err := c.source()
	if err != nil {
		return err
	}
	i, err := c.sourceInfo(app, s)
	if err != nil {
		return err
	}
	return c.print(i, func() error {
		t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		branch := i.Branch
		if branch == "" {
			branch = "(the default one)"
		}
		fmt.Fprintf(t, "app\t%s\nurl\t%s\nbranch\t%s\nevery\t%s\nstate\t%s\n", i.App, plain(i.URL), branch, i.Every, i.State)
		if i.Commit != "" {
			fmt.Fprintf(t, "commit\t%s (%s)\n", git.Short(i.Commit), releaseName(i.Release))
		}
		if i.Reason != "" {
			fmt.Fprintf(t, "reason\t%s\n", plain(i.Reason))
		}
		if !i.Looked.IsZero() {
			fmt.Fprintf(t, "looked\t%s\n", i.Looked.Local().Format(time.DateTime))
		}
		if i.Key != "" {
			fmt.Fprintf(t, "key\t%s\n", i.Key)
		}
		return t.Flush()
	})
}

// source is the source of the app that the first argument names.
func (c *call) source() (app volume.App, s volume.Source, err error) {
	if app, err = c.app(); err != nil {
		return app, s, err
	}
	s, ok, err := app.Source()
	if err == nil && !ok {
		err = fmt.Errorf("%s follows no repository; source:set %s URL has it do so", app.Name, app.Name)
	}
	return app, s, err
}

func setSource(c *call) error {
	s := volume.Source{URL: c.args[1]}
	s.Branch, _ = c.cmd.Flags().GetString("branch")
	s.Every, _ = c.cmd.Flags().GetDuration("every")
	if err := remote.CheckURL(s.URL); err != nil {
		return usageError(err)
	}
	if s.Branch != "" {
		if err := command.CheckBranch(s.Branch); err != nil {
			return err
		}
	}
	if s.Every < volume.MinEvery || s.Every > volume.MaxEvery {
		return usageError(fmt.Errorf("--every is a duration from %s to %s, not %s", volume.MinEvery, volume.MaxEvery, s.Every))
	}
	token, key, err := c.readSecret(remote.IsSSH(s.URL))
	if err != nil {
		return err
	}
	host, err := c.hostToTrust(s.URL) // before anything is made, and nobody waits for a stranger's server
	if err != nil {
		return err
	}
	if _, err := c.appOrNew(); err != nil {
		return err
	}
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	if err := c.keepCredentials(app, s.URL, token, key, host); err != nil {
		return err
	}
	if err := app.SetSource(s); err != nil {
		return err
	}
	done()
	c.record("source:set", app.Name, plain(s.URL))
	say.Step(c.out, "%s follows %s, looked at every %s", app.Name, s.URL, s.Every)
	return c.tryLook(app, s)
}

// readSecret reads what --token or --key asks for from standard input: on a command line everybody
// on the machine could read it.
func (c *call) readSecret(ssh bool) (token, key []byte, err error) {
	wantToken, _ := c.cmd.Flags().GetBool("token")
	wantKey, _ := c.cmd.Flags().GetBool("key")
	switch {
	case wantToken && ssh:
		return nil, nil, usageError(errors.New("--token is for https; ssh is let in by a key"))
	case wantKey && !ssh:
		return nil, nil, usageError(errors.New("--key is for ssh; https is let in by a --token"))
	case !wantToken && !wantKey:
		return nil, nil, nil
	}
	content, err := readAll(c, c.in)
	if err != nil {
		return nil, nil, err
	}
	if wantKey {
		if _, err := remote.PublicKey(content); err != nil {
			return nil, nil, err
		}
		return nil, content, nil
	}
	token = bytes.TrimSpace(content)
	if len(token) == 0 || bytes.ContainsAny(token, " \t\r\n") {
		return nil, nil, usageError(errors.New("--token reads one word from standard input: ... --token < FILE"))
	}
	return token, nil, nil
}

// appOrNew is the app that the first argument names; it is made where there is none, as by a push.
func (c *call) appOrNew() (volume.App, error) {
	app, err := c.app()
	if errors.Is(err, volume.ErrNoApp) {
		return c.vol.Create(c.args[0])
	}
	return app, err
}

// keepCredentials stores what lets us in at url, before the first look.
func (c *call) keepCredentials(app volume.App, url string, token, key, host []byte) error {
	credentials := c.vol.Credentials(app.Name)
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
			if key, _, err = remote.NewKey(app.Name + "@" + c.place(volume.RoleGit).Host); err != nil {
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

// hostToTrust is the known_hosts line of the key that url's host shows, where that is to be trusted: the
// first time, and when the caller asks; else nil.
func (c *call) hostToTrust(url string) ([]byte, error) {
	if !remote.IsSSH(url) {
		return nil, nil
	}
	known, err := c.vol.Credentials(c.args[0]).Get(volume.SourceKnownHosts)
	if err != nil {
		return nil, err
	}
	anew, _ := c.cmd.Flags().GetBool("new-host-key")
	if !anew && remote.KnowsHost(known, url) {
		return nil, nil
	}
	line, fingerprint, err := remote.HostKey(c, url)
	if err != nil {
		return nil, err
	}
	say.Step(c.out, "The host's key is %s", fingerprint)
	say.Detail(c.out, "it is trusted from now on; compare it with what the host publishes")
	return []byte(line + "\n"), nil
}

// tryLook says what a first look finds. That it fails is no failure of the command: what is missing
// can be put right at the other end.
func (c *call) tryLook(app volume.App, s volume.Source) error {
	credentials := c.vol.Credentials(app.Name)
	if key, err := credentials.Get(volume.SourceKey); err != nil {
		return err
	} else if key != nil && remote.IsSSH(s.URL) {
		public, err := c.deployKey(app, key)
		if err != nil {
			return err
		}
		say.Step(c.out, "Its deploy key, which the repository must let read:")
		fmt.Fprintln(c.out, public)
	}
	head, err := c.newSidecar(slog.New(slog.DiscardHandler)).Peek(c, app)
	if err != nil {
		say.Fault(c.err, "%v", err)
		if errors.Is(err, remote.ErrHostKey) {
			say.Fault(c.err, "To trust the key that it shows now: source:set %s %s --new-host-key", app.Name, s.URL)
		}
		say.Fault(c.err, "It is tried again every %s; to try at once: %s", s.Every, c.hint("source:sync", app.Name))
		return nil
	}
	say.Step(c.out, "%s is at %s", head.Branch, git.Short(head.Commit))
	if !c.vol.Claimed(volume.RoleSidecar) {
		say.Fault(c.err, "No sidecar runs, so nothing looks by itself: paas serve sidecar")
	}
	return nil
}

func syncSource(c *call) error {
	app, _, err := c.source()
	if err != nil {
		return err
	}
	s := c.newSidecar(slog.New(slog.DiscardHandler))
	settings, err := app.Settings()
	if err != nil {
		return err
	}
	ctx := c.Context
	if !settings.InPlace(volume.Mode(c.config.Mode)) {
		var stop func()
		ctx, stop = c.whileServing()
		defer stop()
	}
	err = s.Sync(ctx, app, c.name, c.out)
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	return err
}

func showWebhook(c *call) error {
	app, _, err := c.source()
	if err != nil {
		return err
	}
	secret, err := c.vol.Credentials(app.Name).Webhook()
	if err != nil {
		return err
	}
	if url := c.hooks(app.Name); url != "" {
		fmt.Fprintf(c.out, "url     %s\n", url)
	} else {
		say.Fault(c.err, "no sidecar takes webhooks now: start it with PAAS_SIDECAR_ADDR set, such as :8081")
	}
	fmt.Fprintf(c.out, "secret  %s\n", secret)
	return nil
}

func unsetSource(c *call) error {
	_, s, err := c.source()
	if err != nil {
		return err
	}
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	if err := app.UnsetSource(); err != nil {
		return err
	}
	c.record("source:unset", app.Name, plain(s.URL))
	fmt.Fprintf(c.out, "%s follows nothing any more; git push deploys it\n", app.Name)
	return nil
}

// readAll reads in to its end, 64 KiB at most, or until ctx ends: a caller may never send an end.
func readAll(ctx context.Context, in io.Reader) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	read := make(chan result, 1)
	go func() {
		content, err := io.ReadAll(io.LimitReader(in, 64<<10))
		read <- result{content, err}
	}()
	select {
	case r := <-read:
		return r.content, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
