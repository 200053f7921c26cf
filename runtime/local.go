package runtime

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"sync"
	"time"
)

// Local is the engine that runs builds and processes as children of this process. They see an
// environment built from nothing, and do not outlive the server: neither its stop nor its kill -9.
type Local struct {
	Root string   // the volume's root: by it this server's processes are known
	Self []string // the command that runs this binary, for the guard: an absolute path and arguments; default os.Executable()

	// PassEnv names the server's own environment variables that builds and processes may see,
	// besides PATH, LANG, TZ and those for proxies and certificate authorities.
	PassEnv []string

	BuildTimeout time.Duration // for the whole of a build; default 15 min
	Log          *slog.Logger  // default: silence

	life   string        // this life of the server, among others on the same root
	guard  *guard        //
	starts chan func()   // what the starting thread is to do
	closed chan struct{} //

	mu       sync.Mutex
	ports    map[int]bool       // taken
	versions map[program]string // what tools said of themselves
}

// Open ends what an earlier life of the server left running, and starts the guard. It comes before
// the first Build and Start, and blocks until nothing is left.
func (l *Local) Open() error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	l.BuildTimeout = cmp.Or(l.BuildTimeout, 15*time.Minute)
	l.life = randomID()
	l.ports, l.versions = map[int]bool{}, map[program]string{}
	l.starts, l.closed = make(chan func()), make(chan struct{})

	earlier := kin{mark: rootMark(l.Root), except: l.lifeMark()}
	if n := len(earlier.find()); n > 0 {
		l.Log.Warn("killing processes of an earlier life", "count", n)
	}
	if err := earlier.kill(); err != nil {
		return fmt.Errorf("left by an earlier life: %w", err)
	}
	self := l.Self
	if len(self) == 0 {
		path, err := os.Executable()
		if err != nil {
			return err
		}
		self = []string{path}
	}
	go l.startAll()
	l.guard = &guard{command: append(self[:len(self):len(self)], "guard", l.Root), life: l.life, log: l.Log}
	if err := l.guard.open(); err != nil {
		close(l.closed)
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// Close ends whatever still runs, and the guard. Nothing is started after it.
func (l *Local) Close() error {
	close(l.closed)
	err := kin{mark: l.lifeMark(), leaders: l.guard.leaders()}.kill()
	return errors.Join(err, l.guard.close())
}

var errClosed = errors.New("the server is stopping")

// start starts cmd on the one thread that starts everything; ownSession says why.
func (l *Local) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	select {
	case l.starts <- func() { result <- cmd.Start() }:
		return <-result
	case <-l.closed:
		return errClosed
	}
}

func (l *Local) startAll() {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread() // else the thread ends here, and with it its children
	for {
		select {
		case f := <-l.starts:
			f()
		case <-l.closed:
			return
		}
	}
}

func (l *Local) lifeMark() string { return rootMark(l.Root) + l.life + "/" }

func randomID() string { return strings.ToLower(rand.Text()[:13]) }
