package remote

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"
)

// Fetch brings the commit that branch is at ("": the branch that HEAD points at) into the bare
// repository in the folder dir, and returns its name. All its files can then be read there (see
// [paas/git.Repo.Objects]); its history cannot.
//
// dir and dir.new belong to Fetch. dir is a cache: it is made where it is not there, and where it
// is damaged, or has been added to for long, it is thrown away and all is fetched again. So what is
// needed of a commit is read before the next Fetch. Nothing is synced to the disk; what a power cut
// leaves is found to be damaged.
//
// It blocks for FetchTimeout at most. The error wraps one of this package's where a caller can
// decide on it, and is otherwise the network's or the file system's.
func (c *Client) Fetch(ctx context.Context, r Remote, branch, dir string) (commit string, err error) {
	at, err := r.check(branch)
	if err != nil {
		return "", err
	}
	err = within(ctx, at, cmp.Or(c.FetchTimeout, fetchTimeout), func(ctx context.Context) error {
		f := fetch{Client: c, at: at, remote: r, branch: branch, dir: dir}
		var stop func()
		f.ctx, stop = f.listen(ctx)
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

// fetch is one fetch.
type fetch struct {
	*Client
	ctx    context.Context
	at     address
	remote Remote
	branch string
	dir    string
	silent *time.Timer // ends ctx
	limit  time.Duration
}

// listen begins to listen for the other end: a context that ends when nothing is heard for
// StallTimeout.
func (f *fetch) listen(ctx context.Context) (_ context.Context, stop func()) {
	f.limit = cmp.Or(f.StallTimeout, stallTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	f.silent = time.AfterFunc(f.limit, func() {
		cancel(faultf(ErrTimeout, "nothing came for %s; try again", f.limit))
	})
	return ctx, func() {
		f.silent.Stop()
		cancel(nil)
	}
}

func (f *fetch) heard() { f.silent.Reset(f.limit) }

// run builds on what is there, and where that turns out to be of no use, begins anew. Once: a
// second failure is not the old store's.
func (f *fetch) run() (commit string, err error) {
	fresh, old := f.store(f.dir+".new"), f.store(f.dir)
	if err := os.RemoveAll(fresh.dir); err != nil { // of a fetch that was killed
		return "", err
	}
	have, err := old.load(f.ctx)
	if err == nil && have != "" {
		commit, err = f.into(old, have)
		var worn *damage
		if !errors.As(err, &worn) {
			return commit, err
		}
	}
	if err := f.ctx.Err(); err != nil {
		return "", err
	}
	if err := fresh.make(); err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh.dir)
	if commit, err = f.into(fresh, ""); err != nil {
		return "", err
	}
	return commit, fresh.replace(f.dir)
}

func (f *fetch) store(dir string) *store {
	return &store{dir: dir, arrived: func() { f.silent.Stop() },
		limits: limits{pack: cmp.Or(f.MaxPack, maxPack), file: cmp.Or(f.MaxFile, maxFile)}}
}

// into fetches into a store that has the commit called have; empty: none.
func (f *fetch) into(into *store, have string) (commit string, err error) {
	f.heard()
	err = f.converse(f.ctx, f.at, f.remote, f.heard, func(s *session) error {
		head, err := s.look(f.branch)
		if err != nil {
			return err
		}
		if commit = head.Commit; commit != have {
			return into.add(f.ctx, s, commit, have)
		}
		f.silent.Stop()
		return into.whole(f.ctx, commit)
	})
	return commit, err
}

// damage is what is wrong with a store, and not with who sends.
type damage struct{ error }

func (d *damage) Unwrap() error { return d.error }
