package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"paas/deploy"
	"paas/git"
	"paas/volume"
)

// Receiver takes pushes and fetches for all apps of a volume. Set the fields, [Receiver.Prepare]
// it, and keep [Receiver.Run] running while sessions are served.
type Receiver struct {
	Volume *volume.Volume
	// Self returns the path of this program, a copy of which git runs as its hooks.
	Self func() (string, error)
	URL  func(app string) string // an app's address as people type it
	// Advice returns a remedy in words for the pusher; nil: none is shown.
	Advice func(volume.Remedy) string
	Mode   volume.Mode // of apps that set none; default ByRelease
	// GitEnv has variables for git's processes, in addition to what they always get.
	GitEnv []string

	MaxPush  int64 // bytes of one pushed pack; at least 1
	MaxFiles int   // files and folders in one commit; 0: no limit
	MaxTree  int64 // bytes of all files in one commit; 0: no limit

	DiskSpace deploy.DiskSpace // that a push needs
	Modules   deploy.Modules   // fetches submodules
	Spares    *deploy.Spares   // nil: there are none

	// TakesOver: another receiver serves pushes of this volume until it has finished them. Nothing that
	// they may need is removed.
	TakesOver bool

	Log *slog.Logger

	hooks     hooks
	once      sync.Once
	prepared  error
	inspector git.Inspector
	listener  net.Listener
	name      string // of the listener's socket
	socket    string // its path
	leaves    atomic.Bool
	calls     sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	inFlight sync.WaitGroup
	sessions map[string]*session // pushes under way, by the token of their hooks

	opening sync.Mutex // guards making and destroying apps, and active
	active  map[string]*activeApp
	tidying tidying

	wakes wakes
	said  sync.Map // by app: why it could not be reconciled, as last logged

	// stall is how long a client may leave output unread before it counts as gone.
	stall      time.Duration
	breakpoint func(where string) // tests end the server here
}

const (
	reconcileEvery = time.Minute
	leaveGrace     = 10 * time.Second // for git to end by itself after its client has left
	defaultStall   = time.Minute
)

// Prepare prepares what pushes need: hooks, socket, repositories without leftovers of a killed
// server, and branches that agree with what is live. Call it before the runtime starts and before
// any git runs. Later calls return the error of the first.
func (r *Receiver) Prepare() error {
	r.once.Do(func() { r.prepared = r.prepare() })
	return r.prepared
}

func (r *Receiver) prepare() error {
	if r.stall == 0 {
		r.stall = defaultStall
	}
	r.inspector = git.Inspector{MaxFiles: r.MaxFiles, MaxBytes: r.MaxTree}
	r.sessions = map[string]*session{}
	r.active = map[string]*activeApp{}
	if err := r.nameHooks(); err != nil {
		r.Log.Error("hooks of an earlier start are left", "err", err)
	}
	apps, err := r.Volume.Apps()
	if err != nil {
		return err
	}
	if r.TakesOver {
		apps = nil
	}
	for _, name := range apps {
		if err := r.recover(name); r.news(name, err) {
			r.Log.Error("not recovered", "app", name, "err", err)
		}
	}
	if err := r.nameSocket(); err != nil {
		r.Log.Error("sockets of earlier servers are left", "err", err)
	}
	if err := r.listen(); err != nil {
		return fmt.Errorf("hook socket: %w", err)
	}
	if _, err := r.readyHooks(); err != nil { // such as on a full disk: each push tries again
		r.Log.Error("no push is taken yet", "err", err)
	}
	return nil
}

// recover repairs one app after a server that was killed. It does not wait for the app's turn: a
// process that has it is alive, and reconciles at its end.
func (r *Receiver) recover(name string) error {
	app, err := r.Volume.App(name)
	if err != nil {
		return err
	}
	repo := r.repo(app)
	if err := repo.Check(); errors.Is(err, os.ErrNotExist) {
		return nil // never pushed to
	}
	done, ok := app.TryTurn("the server's start")
	if !ok {
		return errors.Join(errors.New("somebody else is deploying it"), repo.Clean())
	}
	defer done()
	if err := r.repair(app, repo); err != nil {
		return err
	}
	// Even if leftovers cannot be removed, the branch must agree with what is live.
	err = errors.Join(repo.Clean(), deploy.RepairStates(app))
	_, unagreed := r.reconcile(context.Background(), app, false)
	return errors.Join(err, unagreed)
}

// Run makes branches and releases agree, and answers hooks, until ctx ends. Then it takes no new
// pushes, waits for those under way, and returns nil.
func (r *Receiver) Run(ctx context.Context) error {
	if err := r.Prepare(); err != nil {
		return err
	}
	awake, sleep := context.WithCancel(context.WithoutCancel(ctx))
	defer sleep()
	wake := func(app string) { r.wake(awake, app) }
	unwatch := r.Volume.Watch(wake)
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for r.wakeAll(wake); ; {
		select {
		case <-tick.C:
			r.wakeAll(wake)
			r.tidyAll(awake)
			continue
		case <-ctx.Done():
		}
		break
	}
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	r.inFlight.Wait()
	unwatch()
	sleep()
	r.wakes.running.Wait()
	r.tidying.running.Wait()
	r.hangUp()
	if r.leaves.Load() {
		return r.removeHooks()
	}
	return nil
}

// Leave lets Run, when its ctx ends, leave the volume to another receiver.
func (r *Receiver) Leave() { r.leaves.Store(true) }

func (r *Receiver) wakeAll(wake func(app string)) {
	apps, err := r.Volume.Apps()
	if err != nil {
		r.Log.Error("apps not listed", "err", err)
	}
	for _, app := range apps {
		wake(app)
	}
}

func (r *Receiver) repo(app volume.App) git.Repo {
	return git.Repo{Dir: app.Repo(), Hooks: r.hooks.dir, MaxPush: r.MaxPush, Env: r.GitEnv}
}

// maker makes releases of the app for a push.
func (r *Receiver) maker(app volume.App, out io.Writer) deploy.Maker {
	return deploy.Maker{
		App:       app,
		Mode:      r.Mode,
		URL:       r.URL,
		Out:       out,
		Inspector: &r.inspector,
		Modules:   r.Modules,
		DiskSpace: r.DiskSpace,
		Spares:    r.Spares,
	}
}

func (r *Receiver) reached(where string) {
	if r.breakpoint != nil {
		r.breakpoint(where)
	}
}
