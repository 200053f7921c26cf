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
	"time"

	"paas/deploy"
	"paas/git"
	"paas/volume"
)

// Receiver takes pushes and fetches for all apps of a volume. Set the fields, [Receiver.Prepare]
// it, and keep [Receiver.Run] running while sessions are served.
type Receiver struct {
	Volume *volume.Volume
	Self   func() (string, error)        // path of this program as it runs, a copy of which git runs as its hooks
	URL    func(app string) string       // an app's address as people type it
	Hint   func(verb, app string) string // how a person runs a verb: "ssh -p 2222 paas@host logs blog"
	Mode   volume.Mode                   // of apps that are not set to one; default ByRelease
	GitEnv []string                      // of git's processes, besides what they always get

	MaxPush  int64 // bytes of one pushed pack; default 512 MiB
	MaxFiles int   // files and folders in one commit; default 200,000
	MaxTree  int64 // bytes of all files in one commit; default 2 GiB

	DiskSpace deploy.DiskSpace // of the disk, without which a push is refused

	Log *slog.Logger

	hooks     hooks
	once      sync.Once
	prepared  error
	inspector git.Inspector
	listener  net.Listener
	socket    string // path of listener
	calls     sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	inFlight sync.WaitGroup
	sessions map[string]*session // pushes under way, by the token their hooks show

	opening sync.Mutex // guards the coming and going of apps, and tenants
	tenants map[string]*tenant
	tidying tidying

	wakes wakes
	said  sync.Map // by app: why it could not be reconciled, as the log has it

	stall      time.Duration      // how long a client may leave what it is sent unread
	breakpoint func(where string) // tests end the server here
}

const (
	defaultMaxPush  = 512 << 20
	defaultMaxFiles = 200_000
	defaultMaxTree  = 2 << 30

	reconcileEvery = time.Minute
	leaveGrace     = 10 * time.Second // for git to end by itself once its client has left
	defaultStall   = time.Minute
)

// Prepare makes ready what pushes need: hooks, socket, repositories without leftovers of a killed
// server, and branches that agree with what is live. Call it before the runtime starts and before
// any git runs. It does so once; later calls return what the first did.
func (r *Receiver) Prepare() error {
	r.once.Do(func() { r.prepared = r.prepare() })
	return r.prepared
}

func (r *Receiver) prepare() error {
	if r.MaxPush <= 0 {
		r.MaxPush = defaultMaxPush
	}
	if r.MaxFiles <= 0 {
		r.MaxFiles = defaultMaxFiles
	}
	if r.MaxTree <= 0 {
		r.MaxTree = defaultMaxTree
	}
	if r.stall == 0 {
		r.stall = defaultStall
	}
	r.inspector = git.Inspector{MaxFiles: r.MaxFiles, MaxBytes: r.MaxTree}
	r.sessions = map[string]*session{}
	r.tenants = map[string]*tenant{}
	if err := r.nameHooks(); err != nil {
		r.Log.Error("hooks of an earlier start are left", "err", err)
	}
	apps, err := r.Volume.Apps()
	if err != nil {
		return err
	}
	for _, name := range apps {
		if err := r.recover(name); r.news(name, err) {
			r.Log.Error("not recovered", "app", name, "err", err)
		}
	}
	if err := r.listen(); err != nil {
		return fmt.Errorf("hook socket: %w", err)
	}
	if _, err := r.readyHooks(); err != nil { // a full disk, say: each push tries again
		r.Log.Error("no push is taken yet", "err", err)
	}
	return nil
}

// recover makes one app whole again after a server that was killed. It waits for nobody: a process
// that has the app's turn now is alive, and reconciles at its end. git runs in nobody else's process.
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
	if _, err := r.mend(app, repo); err != nil {
		return err
	}
	// Where leftovers cannot be removed, the branch has to agree with what is live all the same.
	err = errors.Join(repo.Clean(), deploy.Repair(app))
	_, unagreed := r.reconcile(context.Background(), app, false)
	return errors.Join(err, unagreed)
}

// Run keeps branches and releases in agreement and answers hooks until ctx ends; it then lets the
// pushes in flight end, takes no new ones, and returns nil.
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
	return nil
}

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
	return deploy.Maker{App: app, Mode: r.Mode, URL: r.URL, Out: out, Inspector: &r.inspector, DiskSpace: r.DiskSpace}
}

func (r *Receiver) reached(where string) {
	if r.breakpoint != nil {
		r.breakpoint(where)
	}
}
