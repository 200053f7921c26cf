package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"paas/engine"
)

// maxTasks is how many requests of a client may be in progress, jobs that run included.
const maxTasks = 4096

// Serve serves an open engine to the process at the other end of socket. It blocks until the
// connection has ended, and with it what the client has started: a job that is not detached gets its
// Grace. The error says why the connection has ended; nil: the client closed it, or has ended.
func Serve(socket *net.UnixConn, e engine.Engine, log *slog.Logger) error {
	s := &server{conn: newConn(socket, false), engine: e, log: log, tasks: map[uint64]*task{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	err := s.serve()
	s.close()
	s.end()
	for _, j := range s.stopStarting() {
		go j.Stop(j.grace)
	}
	s.mu.Lock()
	leave := s.leave
	s.mu.Unlock()
	if leave != nil {
		if err := leave(); err != nil {
			log.Error("processes of a server are left", "err", err)
		}
	}
	s.working.Wait()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// server serves one client.
type server struct {
	*conn
	engine  engine.Engine
	log     *slog.Logger
	ctx     context.Context // ends with the connection
	end     func()
	working sync.WaitGroup

	mu     sync.Mutex
	tasks  map[uint64]*task
	closed bool              // the client starts nothing more
	tell   func(line string) // nil: the engine does not mind the client
	leave  func() error      // ends what the client has left; nil if tell is
}

// task is a request in progress.
type task struct {
	cancel func()
	job    *job // nil: it has started none
}

// serve reads requests until the connection ends.
func (s *server) serve() error {
	for greeted := false; ; {
		var r request
		if _, err := s.read(&r); err != nil {
			return err
		}
		if !greeted && r.Call != callHello {
			return fmt.Errorf("first request is %.20q", r.Call)
		}
		greeted = true
		if err := s.take(r); err != nil {
			return err
		}
	}
}

// take does what r asks for, or refuses it. An error ends the connection.
func (s *server) take(r request) error {
	switch err := s.enter(r); {
	case errors.Is(err, errTooMany): // the client may read the reply or be held up
		s.reply(r, reply{}, err)
	case err != nil:
		return err
	}
	return nil
}

var errTooMany = fmt.Errorf("too many requests at once: at most %d", maxTasks)

// enter begins what r asks for, on another goroutine if that can take time.
func (s *server) enter(r request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.tasks[r.Of]
	switch r.Call {
	case callCancel:
		if of != nil {
			of.cancel()
		}
		return nil
	case callTell:
		if s.tell != nil {
			s.tell(r.Reason)
		}
		return nil
	case callSignal, callResize, callEndIn:
		if of != nil && of.job != nil {
			of.job.tell(r)
		}
		return nil
	}
	if s.tasks[r.ID] != nil {
		return fmt.Errorf("request %d twice", r.ID)
	}
	if len(s.tasks) >= maxTasks {
		return errTooMany
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.tasks[r.ID] = &task{cancel: cancel}
	s.working.Go(func() {
		defer cancel()
		s.do(ctx, r)
	})
	return nil
}

// do answers a request. A panic ends the connection.
func (s *server) do(ctx context.Context, r request) {
	defer func() {
		s.mu.Lock()
		delete(s.tasks, r.ID)
		s.mu.Unlock()
		if p := recover(); p != nil {
			s.log.Error("panic", "call", r.Call, "err", p, "stack", string(debug.Stack()))
			s.socket.Close()
		}
	}()
	err := r.check()
	if err == nil && r.starts() && s.isClosed() {
		err = errClosed
	}
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	switch r.Call {
	case callStart:
		s.start(ctx, r)
	case callJoin:
		s.join(ctx, r)
	case callLogs:
		s.logs(ctx, r)
	case callDial:
		s.dial(ctx, r)
	default:
		a, err := s.answer(ctx, r)
		s.reply(r, a, err)
	}
}

var errClosed = engine.StartError{Status: 1, Reason: "the engine has ended"}

func (s *server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// reply sends the reply to r. An error means that the client does not get it.
func (s *server) reply(r request, a reply, err error, files ...syscall.Conn) error {
	a.ID, a.Err = r.ID, failureOf(err)
	if err != nil {
		a.More, files = false, nil
	}
	err = s.send(&a, files...)
	if errors.Is(err, errTooLarge) {
		s.send(&reply{ID: r.ID, Err: failureOf(fmt.Errorf("reply %w", err))})
	}
	return err
}

// answer calls the engine for a request that one reply with no descriptors answers.
func (s *server) answer(ctx context.Context, r request) (a reply, err error) {
	switch r.Call {
	case callHello:
		a.Isolation = s.engine.Isolation()
	case callClose:
		for _, j := range s.stopStarting() {
			j.Stop(0)
			<-j.told
		}
	case callStop:
		if j := s.jobOf(r.Of); j != nil {
			j.Stop(r.Grace)
		}
	case callGuard:
		if g, ok := s.engine.(guard); ok {
			err = g.Guard(r.Number)
		}
	case callMind:
		a.Output, err = s.mind()
	case callWant:
		err = s.engine.Want(ctx, r.Unit)
	case callDrop:
		err = s.engine.Drop(ctx, r.Name, r.Grace)
	case callUnits:
		a.Units, err = s.engine.Units(ctx)
	case callPlaces:
		a.Places, err = s.engine.Places(ctx, r.App)
	case callWatch:
		err = s.engine.Watch(ctx, func(app string) { s.reply(r, reply{More: true, App: app}, nil) })
	case callRestart:
		err = s.engine.Restart(ctx, r.Place, r.Reason)
	case callExec:
		a.Output, a.Exit, err = s.engine.Exec(ctx, r.Place, r.Command)
	case callListening:
		a.List = s.engine.Listening(ctx, r.Place)
	case callRuns:
		a.Runs, err = s.runs(ctx)
	case callForget:
		err = s.engine.Forget(ctx, r.Run)
	default:
		err = fmt.Errorf("unknown call %.20q", r.Call)
	}
	return a, err
}

// guard is what an engine has that restricts users of the machine, see [Client.Guard].
type guard interface{ Guard(user int) error }

// minder is what an engine has that ends what its client has started itself, see [Client.Mind].
type minder interface {
	Mind() (mark string, tell func(line string), end func() error)
}

func (s *server) mind() (mark string, err error) {
	m, ok := s.engine.(minder)
	if !ok {
		return "", errors.New("the engine minds nobody")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", errClosed
	case s.tell != nil:
		return "", errors.New("the client is minded already")
	}
	mark, s.tell, s.leave = m.Mind()
	return mark, nil
}

// dial connects, and sends the socket.
func (s *server) dial(ctx context.Context, r request) {
	conn, err := s.engine.Dial(ctx, r.Place, r.Number)
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	defer conn.Close()
	socket, ok := conn.(syscall.Conn)
	if !ok {
		s.reply(r, reply{}, fmt.Errorf("a %T has no descriptor", conn))
		return
	}
	s.reply(r, reply{}, nil, socket)
}

// logs sends a pipe, and copies the output to it.
func (s *server) logs(ctx context.Context, r request) {
	logs, err := s.engine.Logs(ctx, r.Place, r.Follow)
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	defer logs.Close()
	theirs, ours, err := os.Pipe()
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	defer ours.Close()
	defer s.untilLost(ours)()
	err = s.reply(r, reply{}, nil, theirs)
	theirs.Close()
	if err == nil {
		io.Copy(ours, logs) // an error means that the client has closed the pipe
	}
}

// untilLost ends writing to f when the connection ends, even if the client still has the other end
// of the pipe. Call stop when f is no longer used.
func (s *server) untilLost(f *os.File) (stop func() bool) {
	return context.AfterFunc(s.ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
}
