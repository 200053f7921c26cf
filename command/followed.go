package command

import (
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
