package remote

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"
)

// Fetch fetches the commit that ref points at into the bare repository in dir and returns its hash.
// All files of the commit can then be read
// (see [paas/git.Repo.Objects]), but not its history.
//
// dir and dir.new belong to Fetch. dir is a cache: Fetch creates it if it is missing, and replaces
// it if it is damaged or contains many packs. So read what you need from a commit before the next
// Fetch. Nothing is synced to disk; damage after a power cut is detected.
//
// Fetch blocks for FetchTimeout at most. Its error wraps one of this package's errors, or is from
// the network or the file system.
func (c *Client) Fetch(ctx context.Context, r Remote, ref Ref, dir string) (commit string,
	err error) {
	at, err := r.validate(ref)
	if err != nil {
		return "", err
	}
	err = withTimeout(ctx, at, cmp.Or(c.FetchTimeout, fetchTimeout),
		func(ctx context.Context) error {
			f := fetch{Client: c, at: at, remote: r, ref: ref, dir: dir}
			var stop func()
			f.ctx, stop = f.watchStall(ctx)
			defer stop()
			commit, err = f.run()
			if cause := context.Cause(f.ctx); err != nil && cause != nil {
				return cause
			}
			return err
		})
	if err != nil {
		return "", err
	}
	return commit, nil
}

// fetch is the state of a [Client.Fetch].
type fetch struct {
	*Client
	ctx          context.Context
	at           address
	remote       Remote
	ref          Ref
	dir          string
	stallTimer   *time.Timer // cancels ctx
	stallTimeout time.Duration
}

// watchStall returns a context that ends when no data arrives for StallTimeout.
func (f *fetch) watchStall(ctx context.Context) (_ context.Context, stop func()) {
	f.stallTimeout = cmp.Or(f.StallTimeout, stallTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	f.stallTimer = time.AfterFunc(f.stallTimeout, func() {
		cancel(errorf(ErrTimeout, "no data for %s; try again", f.stallTimeout))
	})
	return ctx, func() {
		f.stallTimer.Stop()
		cancel(nil)
	}
}

func (f *fetch) onData() { f.stallTimer.Reset(f.stallTimeout) }

// run fetches into the existing store if it is usable, else into a fresh one. It tries a fresh
// store only once: a second failure is not the store's.
func (f *fetch) run() (commit string, err error) {
	fresh, old := f.store(f.dir+".new"), f.store(f.dir)
	if err := os.RemoveAll(fresh.dir); err != nil { // left by a fetch that was killed
		return "", err
	}
	have, err := old.load(f.ctx)
	if err == nil && have != "" {
		commit, err = f.fetchInto(old, have)
		var damaged *storeError
		if !errors.As(err, &damaged) {
			return commit, err
		}
	}
	if err := f.ctx.Err(); err != nil {
		return "", err
	}
	if err := fresh.create(); err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh.dir)
	if commit, err = f.fetchInto(fresh, ""); err != nil {
		return "", err
	}
	return commit, fresh.replace(f.dir)
}

func (f *fetch) store(dir string) *store {
	return &store{dir: dir, onReceived: func() { f.stallTimer.Stop() },
		limits: limits{pack: cmp.Or(f.MaxPack, maxPack), file: cmp.Or(f.MaxFile, maxFile)}}
}

// fetchInto fetches into a store that contains the commit have; "" means none.
func (f *fetch) fetchInto(into *store, have string) (commit string, err error) {
	f.onData()
	err = f.withSession(f.ctx, f.at, f.remote, f.onData, func(s *session) error {
		head, err := s.head(f.ref)
		if err != nil {
			return err
		}
		if commit = head.Commit; commit != have {
			return into.add(f.ctx, s, commit, have)
		}
		f.stallTimer.Stop()
		return into.verify(f.ctx, commit)
	})
	return commit, err
}

// storeError is a problem with the store. A fresh store may help.
type storeError struct{ error }

func (d *storeError) Unwrap() error { return d.error }
