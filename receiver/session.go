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
	app   volume.App
	repo  git.Repo
	who   string
	token string
	heard *tail

	ctx   context.Context // ends when the pusher leaves before the verdict
	leave context.CancelCauseFunc
	calls sync.WaitGroup // hooks being answered

	mu      sync.Mutex
	settled bool // the verdict is out: the push goes through, whoever leaves

	// What the hooks came to; read once git has ended.
	prepared *prepared // nil: git has not run pre-receive
	accepted *accepted // nil: git has not run post-receive
}

// prepared is what pre-receive came to: the first phase.
type prepared struct {
	repo    git.Repo       // with the quarantine of the push
	view    view           // of the app, under its turn
	done    func()         // gives up the app's turn; nil: it was not taken
	release volume.Release // number 0: none was published
	note    string         // for the audit: why the release is not live
}

// accepted is what post-receive came to: the second phase.
type accepted struct {
	live bool
	note string // for the audit, if it is not live
}

var errLeft = errors.New("the pusher left")

func newSession(ctx context.Context, app volume.App, repo git.Repo, who string) *session {
	s := &session{app: app, repo: repo, who: who, token: rand.Text()}
	s.ctx, s.leave = context.WithCancelCause(context.WithoutCancel(ctx))
	return s
}

// settle makes the verdict final, unless the pusher has left.
func (s *session) settle(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = ctx.Err() == nil
	return s.settled
}

// left is told that the pusher is gone. It says whether that stops the push.
func (s *session) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled {
		s.leave(errLeft)
	}
	return !s.settled
}
