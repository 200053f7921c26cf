package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"paas/deploy"
	"paas/git"
	"paas/say"
	"paas/volume"
)

// The services of a git session.
const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

// Request is what a client asks for: a git session or, over HTTP, a part of one.
type Request struct {
	Actor    volume.Actor // the client, for the audit log
	Client   Client
	Service  string // git-receive-pack (a push) or git-upload-pack (a fetch)
	App      string
	Protocol string // what the client sent as GIT_PROTOCOL
	Part     Part

	Stdin          io.Reader // of the client
	Stdout, Stderr io.Writer
}

// Client is who asks. What it may do can change at any time, so it is asked again at each step.
type Client interface {
	// Admit returns the app of that name, if the client may push to it and fetch it now. The error
	// wraps [volume.ErrNoApp] if there is none, or none for this client.
	Admit(app string) (volume.App, error)
	// Create makes an app of that name. The error wraps [fs.ErrExist] if the name is not free.
	Create(app string) (volume.App, error)
}

// Part is the part of a git session that is served. Over HTTP each is a request of its own.
type Part int

const (
	Whole   Part = iota // all of it, over one connection
	Listing             // which references there are; it changes nothing, and reads no input
	Rest                // what follows that
)

// git returns the arguments for git.
func (q Request) git() []string {
	args := []string{strings.TrimPrefix(q.Service, "git-")}
	switch q.Part {
	case Listing:
		args = append(args, "--stateless-rpc", "--advertise-refs") // every git knows this name for it
	case Rest:
		args = append(args, "--stateless-rpc")
	}
	return append(args, ".")
}

// Serve serves a client what it may have. It blocks until that is over, the app's turn included, and
// returns the exit status to send. End ctx when the client's connection ends: a push that is not
// decided on yet is then cancelled. Serve may return while a read of q.Stdin or a write to the client
// still blocks; close them.
func (r *Receiver) Serve(ctx context.Context, q Request) int {
	say := voice{q.Stderr}
	if !r.begin() {
		say.fault("the server is starting or stopping; try again in a moment")
		return 1
	}
	defer r.inFlight.Done()
	p := process{Request: q, stall: r.stall, heard: new(transcript)}
	var status int
	var err error
	switch {
	case q.Service == uploadPack:
		status, err = r.fetch(ctx, p)
	case q.Service == receivePack && q.Part == Listing:
		status, err = r.list(ctx, p)
	case q.Service == receivePack:
		status, err = r.push(ctx, p)
	default:
		err = fmt.Errorf("%s is not served; git push and git fetch are", plain(q.Service, 40))
	}
	if err != nil {
		say.fault("%v", full(err))
		r.advise(volume.RemedyOf(err), say)
		return 1
	}
	return status
}

// begin counts a session, unless the server takes none now.
func (r *Receiver) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping || r.listener == nil {
		return false
	}
	r.inFlight.Add(1)
	return true
}

func (r *Receiver) fetch(ctx context.Context, p process) (int, error) {
	app, err := p.Client.Admit(p.App)
	r.refused(p.Request, err)
	if err == nil {
		err = followed(app)
	}
	if err != nil {
		return 1, err
	}
	repo, err := r.open(app)
	if err == nil {
		err = r.repairFirst(ctx, app, repo)
	}
	if err != nil {
		return 1, err
	}
	return p.read(ctx, repo)
}

// read runs git for a client that changes nothing.
func (p *process) read(ctx context.Context, repo git.Repo) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.gone = cancel
	return p.run(repo.Command(ctx, p.git()...))
}

// list serves the listing for a push over HTTP. That does not make an app.
func (r *Receiver) list(ctx context.Context, p process) (int, error) {
	app, err := p.Client.Admit(p.App)
	if err != nil {
		return 1, err
	}
	repo, err := r.ready(ctx, app)
	if err != nil {
		return 1, err
	}
	return p.read(ctx, repo)
}

// ready returns the app's repository if it can be pushed to.
func (r *Receiver) ready(ctx context.Context, app volume.App) (git.Repo, error) {
	if err := followed(app); err != nil {
		return git.Repo{}, err
	}
	if err := r.DiskSpace.Check(r.Volume, 0, 0); err != nil { // the pack itself may be large
		return git.Repo{}, err
	}
	repo, err := r.open(app)
	if err == nil {
		err = r.repairFirst(ctx, app, repo)
	}
	return repo, err
}

func (r *Receiver) push(ctx context.Context, p process) (int, error) {
	app, err := r.enter(p.App, p.Client)
	r.refused(p.Request, err)
	if err != nil {
		return 1, err
	}
	defer r.exit(app)
	r.endTidy(app.Name)
	repo, err := r.ready(ctx, app)
	if err != nil {
		return 1, err
	}
	socket, err := r.readyHooks()
	if err != nil {
		return 1, err
	}
	r.reached("ready")
	s := newSession(ctx, app, repo, p.Request)
	s.heard = p.heard
	defer s.leave(nil)
	r.mu.Lock()
	r.sessions[s.token] = s
	r.mu.Unlock()

	// git outlives the client's connection: for a moment if that stops the push, otherwise until
	// the release is live.
	running, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	ended := make(chan struct{})
	p.gone = func() {
		grace := leaveGrace
		if !s.left() {
			grace += 2 * deploy.GoLive
		}
		select {
		case <-ended:
		case <-time.After(grace):
			kill()
		}
	}
	p.client = ctx
	p.env = []string{socketEnv + "=" + socket, tokenEnv + "=" + s.token}
	status, err := p.run(repo.Command(running, p.git()...))
	close(ended)
	r.mu.Lock()
	delete(r.sessions, s.token) // no hook is let in from here on
	r.mu.Unlock()
	s.left() // and a hook that is still being answered has no pusher any more
	s.calls.Wait()
	if status == 0 && (s.prepared == nil || s.accepted == nil) && p.heard.accepted() {
		r.takeBack(s, voice{p.Stderr})
		status = 1
	}
	r.finish(s, status)
	// git ignores the status of post-receive; its client must not
	if status == 0 && s.accepted != nil && !s.accepted.live {
		status = 1
	}
	if s.prepared == nil && !p.heard.accepted() {
		r.explain(p.heard, voice{p.Stderr})
	}
	return status, err
}

// takeBack undoes a push that git accepted without running both hooks: [Receiver.finish] then moves
// the branch back to what is live.
func (r *Receiver) takeBack(s *session, say voice) {
	r.Log.Error("git did not run both hooks; taking the push back", "app", s.app.Name, "by", s.who)
	say.fault(
		"the server could not run its hooks, so this push was not deployed, " +
			"whatever git says; the branch is where it was",
	)
	say.fault("Push again; if that does not help, the server's owner must start it again.")
	if s.prepared == nil {
		s.prepared = new(prepared)
	}
	p := s.prepared
	var err error
	if p.done == nil {
		p.done, err = deploy.Turn(context.Background(), s.app, s.who+"'s push", func(holder string) {
			say.step("%s", deploy.Waiting(holder))
		})
	} else if p.release.N > 0 {
		p.note = "git did not run both hooks"
		err = r.maker(s.app, io.Discard).TakeBack(p.release.N, p.note)
	}
	if err != nil {
		r.Log.Error("push not taken back", "app", s.app.Name, "err", err)
		s.app.Ring() // the reconciler moves the branch back
	}
}

// finish puts the app in order after git has ended, however it did, and ends the turn.
func (r *Receiver) finish(s *session, status int) {
	var errs []error
	p := s.prepared
	if p != nil && p.repo.Quarantine.Objects != "" {
		errs = append(errs, p.repo.RemoveQuarantine()) // git has removed it unless it was killed
	} else if status > 128 && r.alone(s.app) {
		errs = append(errs, s.repo.RemoveQuarantines())
	}
	if p != nil && p.done != nil {
		err := r.agree(s, status)
		r.record(s)
		p.done()
		if err != nil {
			errs = append(errs, err)
			s.app.Ring() // so that it is tried again
		}
	}
	if err := errors.Join(errs...); err != nil {
		r.Log.Error("push not tidied up", "app", s.app.Name, "err", err)
	}
}

// agree makes the branch agree with what is live after a push. If the push went through, both are
// known: git has moved the branch to the commit that is live.
func (r *Receiver) agree(s *session, status int) error {
	if status == 0 && s.accepted != nil && s.accepted.live {
		v := s.prepared.view
		v.ref = s.prepared.release.Commit
		return r.followHead(context.Background(), s.repo, v)
	}
	_, err := r.reconcile(context.Background(), s.app, true)
	return err
}

// record writes how the push ended into the audit log.
func (r *Receiver) record(s *session) {
	release, note := s.prepared.release, s.prepared.note
	if release.N == 0 {
		return
	}
	if s.accepted != nil && s.accepted.note != "" {
		note = s.accepted.note
	}
	if note = cmp.Or(note, "not live"); s.app.Live() == release.N {
		note = "live"
	}
	what := fmt.Sprintf("%s %s %s", release, git.Short(release.Commit), note)
	end := volume.Broke
	if note == "live" {
		end = volume.OK
	}
	if err := r.Volume.Record(
		volume.RoleGit, s.actor.Event("push", s.app.Name, what, end),
	); err != nil {
		r.Log.Error("push not recorded", "app", s.app.Name, "err", err)
	}
	r.Log.Info("push", "app", s.app.Name, "by", s.who, "release", release.N, "end", note)
}

// refused records that a client may not have what it asks for, if err says so.
func (r *Receiver) refused(q Request, err error) {
	if err != nil && volume.CheckName(q.App) == nil {
		did := map[string]string{receivePack: "push", uploadPack: "fetch"}[q.Service]
		r.Volume.Record(volume.RoleGit, q.Actor.Event(did, q.App, "", volume.Refused)) // the log has it too
	}
}

// advise shows what can be done, if that is known.
func (r *Receiver) advise(what volume.Remedy, to voice) {
	if advice := r.advice(what); advice != "" {
		to.fault("%s", advice)
	}
}

// explain explains to the pusher why git refused a push before any hook ran.
func (r *Receiver) explain(heard *transcript, to voice) {
	switch {
	case heard.read() > r.MaxPush:
		to.fault("the push is larger than %s. Nothing changed.", say.Limit(r.MaxPush))
		r.advise(volume.Remedy{Do: volume.RaisePushSize}, to)
		to.fault(
			"Large files are better kept out of the repository: " +
				"git rev-list --objects HEAD shows what is in it.",
		)
	case heard.saw("No space left on device"):
		to.fault("the server's disk is full. Nothing changed. Make room on it, then push again.")
	case heard.unpackFailed():
		to.fault(
			"git did not accept the objects of the push, " +
				"for the reason it gives above. Nothing changed.",
		)
		to.fault("A commit that git calls broken must be made again; git fsck finds it.")
	}
}
