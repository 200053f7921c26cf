package child

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

// Keeper starts commands, and sees to it that none outlives the server: neither its stop nor its
// kill -9. Fill in the fields, then Open.
type Keeper struct {
	Root string       // the volume's root: by it this server's processes are known
	Self []string     // the command that runs this binary, for the guard: an absolute path and arguments; default the running binary
	Log  *slog.Logger // default: silence

	life          string      // this life of the server, among others on the same root
	guard         *guard      //
	starts        chan func() // what the starting thread is to do
	closed        chan struct{}
	maxProcesses  uint64       // that a user of commands may have; 0: no cap
	threadsAtOpen uint64       // of the server's user
	births        sync.RWMutex // held by who starts a command; after closed is closed none does

	mu       sync.Mutex
	oomKills int // as last looked
}

// Open ends what an earlier life of the server left running, and starts the guard. It comes before
// the first Start, and blocks until nothing is left.
func (k *Keeper) Open() error {
	if k.Log == nil {
		k.Log = slog.New(slog.DiscardHandler)
	}
	keepInherited()
	if k.maxProcesses = processesOfApps(); k.maxProcesses > 0 {
		k.threadsAtOpen = userThreads()
	}
	k.life, k.oomKills = randomID(), OOMKills()
	k.starts, k.closed = make(chan func()), make(chan struct{})

	if err := EndEarlier(k.Root, k.Log); err != nil {
		return err
	}
	go k.startAll()
	k.guard = &guard{self: k.Self, root: k.Root, life: k.life, log: k.Log}
	if err := k.guard.open(); err != nil {
		close(k.closed)
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// EndEarlier ends what earlier servers on the volume at root left running. It blocks until nothing is left. It must not
// be called while a Keeper of that volume is open.
func EndEarlier(root string, log *slog.Logger) error {
	earlier := kin{mark: rootMark(root)}
	if n := len(earlier.find()); n > 0 {
		log.Warn("killing processes of an earlier server", "count", n)
	}
	if err := earlier.kill(); err != nil {
		return fmt.Errorf("left by an earlier server: %w", err)
	}
	return nil
}

// Close ends whatever still runs, and the guard. Nothing is started after it.
func (k *Keeper) Close() error {
	k.births.Lock()
	close(k.closed)
	k.births.Unlock()
	err := kin{mark: k.lifeMark(), leaders: k.guard.leaders()}.kill()
	return errors.Join(err, k.guard.close())
}

var errClosed = errors.New("the server is stopping")

// exec starts cmd. What is born under nothing is started by the one thread that starts all such;
// ownSession says why. What is born under something has a thread of its own until done is closed.
func (k *Keeper) exec(cmd *exec.Cmd, under []Confinement, done <-chan struct{}) error {
	result := make(chan error, 1)
	if s := starterOf(under); s != nil {
		return k.begin(func() error {
			return s.Start(cmd, func(pid int) error { return errors.Join(take(under, pid), k.capProcesses(pid, true)) })
		})
	}
	if len(under) > 0 {
		go k.confined(under, cmd, result, done)
		return <-result
	}
	start := func() { result <- k.bear(cmd) }
	select {
	case k.starts <- start:
		return <-result
	case <-k.closed:
		return errClosed
	}
}

// bear starts cmd on the calling thread, unless the keeper is closed.
func (k *Keeper) bear(cmd *exec.Cmd) error {
	return k.begin(func() error { return k.start(cmd) })
}

// begin runs start, which starts a command, unless the keeper is closed.
func (k *Keeper) begin(start func() error) error {
	k.births.RLock()
	defer k.births.RUnlock()
	select {
	case <-k.closed:
		return errClosed
	default:
		return start()
	}
}

func (k *Keeper) startAll() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // else the thread ends here, and with it its children
	for {
		select {
		case f := <-k.starts:
			f()
		case <-k.closed:
			return
		}
	}
}

// Adopt is a variable of the environment, KEY=VALUE, for commands of this server that the keeper does
// not start: they and what they start end with this life of the server too, at the latest. Valid once
// Open has returned.
func (k *Keeper) Adopt(name string) string { return Marker + "=" + k.newMark(name) }

func (k *Keeper) lifeMark() string { return rootMark(k.Root) + k.life + "/" }

func randomID() string { return strings.ToLower(rand.Text()[:13]) }
