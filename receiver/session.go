package receiver

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"paas/git"
	"paas/volume"
)

// session is one push under way.
type session struct {
	app    volume.App
	repo   git.Repo
	who    string
	actor  volume.Actor
	client Client
	token  string
	heard  *transcript

	ctx   context.Context // ends when the pusher leaves before the push is decided on
	leave context.CancelCauseFunc
	calls sync.WaitGroup // hooks being answered

	mu        sync.Mutex
	concluded bool // the push goes through, even if the pusher leaves

	// What the hooks returned; read after git has ended.
	prepared *prepared // nil: git has not run pre-receive
	accepted *accepted // nil: git has not run post-receive
}

// prepared is the result of pre-receive, the first phase.
type prepared struct {
	repo    git.Repo       // with the quarantine of the push
	view    view           // read under the app's turn
	done    func()         // ends the app's turn; nil: it was not taken
	release volume.Release // number 0: none was published
	note    string         // for the audit: why the release is not live
}

// accepted is the result of post-receive, the second phase.
type accepted struct {
	live bool
	note string // for the audit, if it is not live
}

var errLeft = errors.New("the pusher left")

func newSession(ctx context.Context, app volume.App, repo git.Repo, q Request) *session {
	s := &session{app: app, repo: repo, who: q.Actor.By, actor: q.Actor, client: q.Client, token: rand.Text()}
	s.ctx, s.leave = context.WithCancelCause(context.WithoutCancel(ctx))
	return s
}

// conclude makes the push go through, unless the pusher has left: then it returns false.
func (s *session) conclude(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.concluded = ctx.Err() == nil
	return s.concluded
}

// left records that the pusher has left, and reports whether that stops the push.
func (s *session) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.concluded {
		s.leave(errLeft)
	}
	return !s.concluded
}
