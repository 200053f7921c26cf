package sidecar

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"time"

	"paas/remote"
	"paas/volume"
)

// Fixed is the source that the settings of the server give an app.
type Fixed struct {
	App    string
	URL    string // empty: the settings name no source
	Branch string // empty: the repository's default branch, unless Tag or Commit is set
	Tag    string // pattern; see [remote.Ref]
	Commit string
	Every  time.Duration

	// Files are the paths of its credentials, such as a container's secrets. An empty path is none.
	Files map[volume.Credential]string
}

// FixedError tells which field of a [Fixed] is wrong.
type FixedError struct {
	Field string // app, url, branch, tag, commit, or a credential and "_file"
	Err   error
}

func (e *FixedError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *FixedError) Unwrap() error { return e.Err }

// Set makes the app follow the source, with the credentials as the files are now. It creates the
// app if there is none. What is wrong with a field is a [*FixedError].
func (f Fixed) Set(v *volume.Volume) error {
	if f.URL == "" {
		return nil
	}
	if err := remote.CheckURL(f.URL); err != nil {
		return &FixedError{"url", err}
	}
	ref := remote.Ref{Branch: f.Branch, Tag: f.Tag, Commit: f.Commit}
	if err := ref.Check(); err != nil {
		return &FixedError{ref.Kind(), err}
	}
	app, err := v.App(f.App)
	if errors.Is(err, volume.ErrNoApp) {
		app, err = v.Create(f.App)
		if errors.Is(err, fs.ErrExist) { // another container created it first
			app, err = v.App(f.App)
		}
	}
	if err != nil {
		return &FixedError{"app", err}
	}
	for _, which := range []volume.Credential{
		volume.SourceToken, volume.SourceKey, volume.SourceKnownHosts,
	} {
		if err := keep(v.Credentials(app.Name), which, f.Files[which]); err != nil {
			return &FixedError{string(which) + "_file", err}
		}
	}
	return app.SetSource(volume.Source{
		URL: f.URL, Branch: f.Branch, Tag: f.Tag, Commit: f.Commit, Every: f.Every,
		ByEnvironment: true,
	})
}

// keep copies the file at path to where the sidecar looks for the credential, or removes the
// credential.
func keep(kept volume.Credentials, which volume.Credential, path string) error {
	if path == "" {
		return kept.Remove(which)
	}
	content, err := os.ReadFile(path)
	switch {
	case err != nil:
		return err
	case which == volume.SourceToken:
		content = bytes.TrimSpace(content)
	case which == volume.SourceKey:
		_, err = remote.PublicKey(content)
	}
	if err != nil {
		return err
	}
	return kept.Set(which, content)
}

// EndOthers makes each app stop following a source that only earlier settings gave it.
func (f Fixed) EndOthers(v *volume.Volume) error {
	names, err := v.Apps()
	if err != nil {
		return err
	}
	for _, name := range names {
		app, err := v.App(name)
		if err != nil {
			continue // destroyed in the meantime
		}
		s, ok, err := app.Source()
		fixed := err == nil && ok && s.ByEnvironment
		if fixed && (f.URL == "" || f.App != name) {
			if err := app.UnsetSource(); err != nil {
				return err
			}
		}
	}
	return nil
}
