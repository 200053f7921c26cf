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

	// Set while git runs pre-receive, read after it has ended.
	asked   bool   // pre-receive was run
	told    bool   // post-receive was run
	done    func() // gives the app's turn up; nil: not taken
	release int    // that was published; 0: none
	note    string // for the audit
	lost    bool   // git has taken the push, and yet it is not live
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
