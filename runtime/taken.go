package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paas/runtime/health"
)

// portTries is how many ports a process is given, one after the other, where another program has taken each
// of those before.
const portTries = 5

// awaitOwnPort waits until p is healthy, and stops it if it is not. again is true where another program has
// taken its port, so that it may become healthy with another one.
func (m *member) awaitOwnPort(ctx context.Context, p Process) (again bool, err error) {
	err = health.Await(ctx, subject{m, p}, m.in.file.Checks[m.Type], m.in.home.rt.Boot)
	if err == nil {
		return false, nil
	}
	ended := isClosed(p.Done())
	p.Stop(time.Second)
	if errors.Is(err, health.ErrTaken) {
		return true, err
	}
	// It may have failed to bind where the other program is not met: on another address, or not listening.
	engine, ok := p.(interface{ Taken() bool })
	return ended && ok && engine.Taken(), err
}

// allTaken is the error of a process that was given portTries ports, the last of which made it fail with err.
func allTaken(err error) error {
	if !errors.Is(err, health.ErrTaken) { // perhaps it has failed for another reason
		return err
	}
	return fault{
		fmt.Errorf("%w, and on the %d before", err, portTries-1),
		"try again; on the server, ss -ltnp shows who listens; if it is the app itself, keep it in the foreground",
	}
}

// errShared is why a process is started again that shares its port with another program.
var errShared = errors.New("another program listens on its port")

// keepPort starts the process again, with another port, once visitors meet another program on the one it
// has. It does not block.
func (m *member) keepPort(p Process) {
	engine, ok := p.(interface{ Lost() <-chan struct{} })
	if !ok {
		return
	}
	go func() {
		select {
		case <-engine.Lost():
		case <-p.Done():
			return
		}
		select {
		case <-p.Done(): // first it crashed, then its port was taken
			return
		case <-time.After(time.Second / 4):
		}
		m.in.home.post(func() { m.fell(p, errShared) })
	}()
}
