package sidecar

import (
	"bytes"
	"errors"
	"strings"

	"paas/remote"
	"paas/volume"
)

// subject is an app with its source, as they were when they were read.
type subject struct {
	app      volume.App
	identity string // of the app: another app may take its name
	source   volume.Source
	remote   remote.Remote
	unread   error // why its credentials could not be read; nil: they were
}

// subjectOf reads the app of that name and its source; nil if there is no such app, or it has no
// source.
func (s *Sidecar) subjectOf(name string) (*subject, error) {
	app, err := s.Volume.App(name)
	if errors.Is(err, volume.ErrNoApp) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u := subject{app: app}
	if u.identity, err = app.Identity(); err != nil {
		return nil, err
	}
	var ok bool
	if u.source, ok, err = app.Source(); err != nil || !ok {
		return nil, err
	}
	u.remote.URL = u.source.URL
	credentials := s.Volume.Credentials(name)
	token, err1 := credentials.Get(volume.SourceToken)
	var err2, err3 error
	u.remote.Token = strings.TrimSpace(string(token)) // a file that a person made ends in a newline
	u.remote.Key, err2 = credentials.Get(volume.SourceKey)
	u.remote.KnownHosts, err3 = credentials.Get(volume.SourceKnownHosts)
	u.unread = errors.Join(err1, err2, err3)
	return &u, nil
}

// ref returns which commit of the repository the source means.
func (u subject) ref() remote.Ref {
	return remote.Ref{Branch: u.source.Branch, Tag: u.source.Tag, Commit: u.source.Commit}
}

// same reports whether other is the same app with the same source; the rest may have changed.
func (u subject) same(other subject) bool {
	return u.identity == other.identity && u.source.ID == other.source.ID
}

// equal reports whether nothing has changed.
func (u subject) equal(other subject) bool {
	return u.identity == other.identity && u.source == other.source &&
		(u.unread == nil) == (other.unread == nil) &&
		u.remote.Token == other.remote.Token &&
		bytes.Equal(u.remote.Key, other.remote.Key) &&
		bytes.Equal(u.remote.KnownHosts, other.remote.KnownHosts)
}

// errChanged ends a sync whose app or source is not what it began with.
var errChanged = errors.New("the source was changed meanwhile")

// current returns errChanged if the app or its source is not the same any more.
func (u subject) current() error {
	identity, err := u.app.Identity()
	if err != nil {
		return err
	}
	source, ok, err := u.app.Source()
	if err != nil {
		return err
	}
	if !ok || identity != u.identity || source.ID != u.source.ID {
		return errChanged
	}
	return nil
}
