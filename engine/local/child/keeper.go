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

	"paas/builder/cmdline"
)

// Keeper starts commands and ensures that none outlives the server, whether it stops or is killed.
// Fill in the fields, then call Open.
type Keeper struct {
	Root string // the volume's root, which identifies this server's processes
	// the command that runs this binary, for the guard; default: the running binary
	Self []string
	Log  *slog.Logger // default: none

	// Minder is for a process that another one on the volume minds: that one ends what this one has
	// started when this one has ended, see [Keeper.Mind]. nil: a guard does so, and Open ends what
	// earlier processes have left.
	Minder *Minder

	life          string // id of this run of the server
	guard         *guard
	starts        chan func() // for startAll
	closed        chan struct{}
	maxProcesses  uint64 // limit for each user that runs commands; 0: none
	threadsAtOpen uint64 // of the server's user
	// read-locked while a command starts; none starts once closed is closed
	starting sync.RWMutex

	mu       sync.Mutex
	oomKills int // as of the last check
}

// Open kills what an earlier run of the server left, unless it has a Minder, and starts the guard. Call it before the first
// Start. It blocks until nothing is left.
func (k *Keeper) Open() error {
	if k.Log == nil {
		k.Log = slog.New(slog.DiscardHandler)
	}
	closeInherited()
	if k.maxProcesses = maxAppProcesses(); k.maxProcesses > 0 {
		k.threadsAtOpen = userThreads()
	}
	k.life, k.oomKills = randomID(), OOMKills()
	k.starts, k.closed = make(chan func()), make(chan struct{})

	if k.Minder == nil {
		if err := EndEarlier(k.Root, k.Log); err != nil {
			return err
		}
	}
	go k.startAll()
	k.guard = &guard{self: k.Self, root: k.Root, life: k.life, log: k.Log, minder: k.Minder}
	if err := k.guard.open(); err != nil {
		close(k.closed)
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// EndEarlier kills what earlier servers on the volume at root left running. It blocks until nothing
// is left. Do not call it while a Keeper of that volume is open.
func EndEarlier(root string, log *slog.Logger) error {
	earlier := processTree{mark: rootMark(root)}
	if n := len(earlier.find()); n > 0 {
		log.Warn("killing processes of an earlier server", "count", n)
	}
	if err := earlier.kill(); err != nil {
		return fmt.Errorf("processes of an earlier server: %w", err)
	}
	return nil
}

// Close kills everything that still runs, and ends the guard. Nothing can be started after it.
func (k *Keeper) Close() error {
	k.starting.Lock()
	close(k.closed)
	k.starting.Unlock()
	err := processTree{mark: k.lifeMark(), leaders: k.guard.leaders()}.kill()
	return errors.Join(err, k.guard.close())
}

var errClosed = errors.New("the server is stopping")

// exec starts cmd. Without confinement, one thread starts all commands, for the reason in
// [ownSession]. With confinement, each command has a thread of its own until done is closed.
func (k *Keeper) exec(cmd *exec.Cmd, under []Confinement, done <-chan struct{}) error {
	result := make(chan error, 1)
	if s := starterOf(under); s != nil {
		return k.ifOpen(func() error {
			return s.Start(cmd, func(pid int) error {
				return errors.Join(take(under, pid), k.limitProcesses(pid, true))
			})
		})
	}
	if len(under) > 0 {
		go k.startOnThread(under, cmd, result, done)
		return <-result
	}
	if err := cmdline.Find(cmd); err != nil {
		return err
	}
	start := func() { result <- k.ifOpen(func() error { return k.start(cmd) }) }
	select {
	case k.starts <- start:
		return <-result
	case <-k.closed:
		return errClosed
	}
}

// ifOpen calls start, which starts a command, unless the keeper is closed.
func (k *Keeper) ifOpen(start func() error) error {
	k.starting.RLock()
	defer k.starting.RUnlock()
	select {
	case <-k.closed:
		return errClosed
	default:
		return start()
	}
}

// startAll runs what is sent to starts on one thread that lives as long as the keeper is open.
func (k *Keeper) startAll() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // else the thread ends here, and its children with it
	for {
		select {
		case f := <-k.starts:
			f()
		case <-k.closed:
			return
		}
	}
}

// Adopt returns an environment variable, KEY=VALUE, for commands that the server starts without the
// keeper. They and what they start then end with this run of the server at the latest. Valid once
// Open has returned.
func (k *Keeper) Adopt(name string) string { return Marker + "=" + k.newMark(name) }

func (k *Keeper) lifeMark() string {
	if k.Minder != nil {
		return k.Minder.Mark + k.life + "/"
	}
	return rootMark(k.Root) + k.life + "/"
}

func randomID() string { return strings.ToLower(rand.Text()[:13]) }
