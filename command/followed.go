package command

import (
	"bytes"
	"errors"
	"time"

	"paas/remote"
	"paas/volume"
)

// SourceInfo describes the repository that an app follows.
type SourceInfo struct {
	App     string    `json:"app"`
	URL     string    `json:"url"`
	Branch  string    `json:"branch,omitempty"`
	Tag     string    `json:"tag,omitempty"`      // pattern
	StaysAt string    `json:"stays_at,omitempty"` // commit
	Every   string    `json:"every"`
	State   string    `json:"state"`  // followed, failing, failed, waiting; damaged
	Commit  string    `json:"commit"` // the last one that was tried
	Release int       `json:"release,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Looked  time.Time `json:"looked,omitzero"`
	Since   time.Time `json:"since,omitzero"`
	Key     string    `json:"key,omitempty"` // public deploy key
}

func (c *Call) sourceInfo(app volume.App, s volume.Source) (SourceInfo, error) {
	i := SourceInfo{
		App: app.Name, URL: s.URL, Branch: s.Branch, Tag: s.Tag, StaysAt: s.Commit,
		Every: s.Every.String(), State: "waiting",
	}
	l, err := app.SourceStatus()
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
	key, err := c.Volume.Credentials(app.Name).Get(volume.SourceKey)
	if err != nil {
		return i, err
	}
	if public, err := c.deployKey(app, key); err == nil { // else each look reports the error
		i.Key = public
	}
	return i, nil
}

// deployKey is the public half of key, as git hosts take it, with a comment that names the app.
func (c *Call) deployKey(app volume.App, key []byte) (string, error) {
	public, err := remote.PublicKey(key)
	return public + " " + app.Name + "@" + c.SSHHost(), err
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

func (in *setSourceInput) makesApp() bool { return true }

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
		return c.create(name)
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
