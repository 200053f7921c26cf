package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// variable tells a server which file is its connection to the keeper.
const variable = "PAAS_KEEPER_FD"

// lock begins the names of the keeper's locks.
const lock = "lock/"

// Parent is the keeper of this process, which is a server.
type Parent struct {
	First    bool // no server of the keeper has served before
	Takeover bool // another server serves: do nothing that is visible before [Parent.Ready] returns

	Root string // of [Keeper]

	control *control
	locks   []*os.File // open as long as this process lives
	mu      sync.Mutex
	held    map[string]*os.File // what the keeper holds, by name
	taken   map[string]bool     // of those, what is in use
	deposit map[string]*os.File // what the keeper should hold from now on
}

// Inherited returns the keeper that started this process, or nil if none did. It blocks until the
// keeper has said what it holds. Call it once.
func Inherited() (*Parent, error) {
	text := os.Getenv(variable)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(variable) // no child of this process is a server
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", variable, text, err)
	}
	syscall.CloseOnExec(fd)
	conn, err := connOf(os.NewFile(uintptr(fd), "keeper"))
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", variable, text, err)
	}
	p := &Parent{
		control: &control{conn: conn}, held: map[string]*os.File{}, taken: map[string]bool{},
		deposit: map[string]*os.File{},
	}
	m, err := p.control.receive()
	if err != nil || m.Kind != hello {
		return nil, fmt.Errorf("no greeting of the keeper: %q, %w", m.Kind, err)
	}
	p.First, p.Takeover, p.Root = m.First, m.Takeover, m.Root
	for i, name := range m.Files {
		if strings.HasPrefix(name, lock) {
			p.locks = append(p.locks, m.files[i])
		} else {
			p.held[name] = m.files[i]
		}
	}
	return p, nil
}

// Take returns a file that the keeper holds, for the caller to close. It returns nil if there is
// none of that name, or if it was taken already.
func (p *Parent) Take(name string) *os.File {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.held[name]
	if f == nil {
		return nil
	}
	delete(p.held, name)
	p.taken[name] = true
	return f
}

// Hold lets the keeper hold a file for the next server, from [Parent.Ready] on. It takes f over.
func (p *Parent) Hold(name string, f *os.File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[name], p.deposit[name] = true, f
}

// Conn returns a connection that the keeper holds for this server alone; nil: there is none of that
// name.
func (p *Parent) Conn(name string) (*net.UnixConn, error) {
	f := p.Take(name)
	if f == nil {
		return nil, nil
	}
	return connOf(f)
}

// Ready tells the keeper that this server can serve, and blocks until it may. The keeper then holds
// what was taken and what it was given, and nothing else. The error is [ErrUnwanted] if the keeper
// has gone or wants this server no more, or if ctx ends first.
func (p *Parent) Ready(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.control.close)()
	p.mu.Lock()
	m := message{Kind: prepared}
	for name := range p.taken {
		m.Held = append(m.Held, name)
	}
	for name, f := range p.deposit {
		m.Files, m.files = append(m.Files, name), append(m.files, f)
	}
	p.mu.Unlock()
	err := p.control.send(m)
	m.close()
	p.mu.Lock()
	for name, f := range p.held { // of an earlier server with other settings
		f.Close()
		delete(p.held, name)
	}
	p.mu.Unlock()
	if err != nil {
		return ErrUnwanted
	}
	if m, err := p.control.receive(); err != nil || m.Kind != start {
		return ErrUnwanted
	}
	return nil
}

// ErrUnwanted is the error of a server whose keeper has gone, or wants it no more.
var ErrUnwanted = errors.New("the keeper wants no server here any more")

// Fail tells the keeper why this server cannot serve.
func (p *Parent) Fail(err error) { p.control.send(message{Kind: failed, Error: err.Error()}) }

// Handover is what a server does when another one is to take its place.
type Handover struct {
	// Free finishes what changes something and starts nothing more, and blocks until then. If ctx ends
	// first, the other one has failed.
	Free   func(ctx context.Context)
	Resume func() // the other one has failed: go on. Free has returned
	Leave  func() // the other one serves: finish what was accepted, and exit. It must not block
	Stop   func() // the keeper stops: end in order. It must not block
}

// Follow tells the keeper that this server serves, and does what it asks for. It blocks until the
// keeper has gone, which is [ErrUnwanted], or ctx ends.
func (p *Parent) Follow(ctx context.Context, h Handover) error {
	defer context.AfterFunc(ctx, p.control.close)()
	if err := p.control.send(message{Kind: serving}); err != nil {
		return ErrUnwanted
	}
	var freeing sync.WaitGroup
	defer freeing.Wait()
	giveUp := func() {}
	defer func() { giveUp() }()
	for {
		m, err := p.control.receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return ErrUnwanted
		case m.Kind == handover:
			busy, cancel := context.WithCancel(ctx)
			giveUp = cancel
			freeing.Go(func() {
				h.Free(busy)
				if busy.Err() == nil {
					p.control.send(message{Kind: free}) // if it fails, so does the next receive
				}
			})
		case m.Kind == resume:
			giveUp()
			freeing.Wait()
			h.Resume()
		case m.Kind == leave:
			h.Leave()
		case m.Kind == stop:
			h.Stop()
		}
	}
}
