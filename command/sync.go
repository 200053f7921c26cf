package command

import (
	"context"
	"errors"
	"regexp"

	"paas/access"
	"paas/deploy"
	"paas/volume"
)

// syncInput is also that of Dokku's git:sync, where the server follows the repository only once.
type syncInput struct {
	App       string `json:"app" arg:"APP"`
	URL       string `json:"url" arg:"[URL]"`
	Ref       string `json:"ref" arg:"[REF]"`
	Build     bool   `json:"build" flag:"build" help:"as with Dokku: what is new is built and deployed, with this flag or without"`
	IfChanged bool   `json:"build_if_changes" flag:"build-if-changes" help:"the same"`
}

func (in *syncInput) needs(*Call) access.Right {
	if in.URL == "" {
		return access.Deploy
	}
	return access.Manage
}

func (in *syncInput) makesApp() bool { return in.URL != "" }

var wholeCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// retarget makes the app follow the repository that the input names, unless it does so already.
func (c *Call) retarget(in syncInput, p progress) error {
	set := setSourceInput{App: in.App, URL: in.URL, Branch: in.Ref, Every: Duration(volume.DefaultEvery)}
	if wholeCommit.MatchString(in.Ref) {
		set.Branch, set.Commit = "", in.Ref
	}
	app, err := c.App(in.App)
	if err != nil && !errors.Is(err, volume.ErrNoApp) {
		return err
	}
	if err == nil {
		old, follows, err := app.Source()
		if err != nil {
			return err
		}
		if follows {
			set.Every = Duration(old.Every)
		}
		if follows && old.URL == set.URL && (in.Ref == "" || old.Branch == set.Branch && old.Commit == set.Commit) {
			return nil
		}
	}
	_, _, err = c.follow(set, p)
	return err
}

func syncSource(c *Call, in syncInput, events Teller[Progress]) error {
	p := progress{events}
	if in.URL != "" {
		if err := c.retarget(in, p); err != nil {
			return err
		}
	}
	app, _, err := c.source(in.App)
	if err != nil {
		return err
	}
	settings, err := app.Settings()
	if err != nil {
		return err
	}
	ctx := c.Context
	if settings.ModeOr(c.Mode) != volume.OnlyFiles {
		var stop func()
		ctx, stop = c.whileServing()
		defer stop()
	}
	err = c.Sidecar.Sync(ctx, app, c.Caller.Name, progressLog{p}, func(r volume.Release) {
		p.live(deploy.Maker{App: app, URL: c.URL}, r)
	})
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	if err == nil {
		c.did(app.Name, "")
	}
	return err
}
