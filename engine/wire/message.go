package wire

import (
	"context"
	"errors"
	"syscall"
	"time"

	"paas/engine"
	"paas/volume"
)

// call says what a request asks for.
type call string

const (
	callHello     call = "hello"  // the first request
	callCancel    call = "cancel" // ends the context of the request Of; no reply
	callClose     call = "close"  // ends the jobs of this client, and starts no more
	callGuard     call = "guard"
	callMind      call = "mind" // the reply has the mark
	callTell      call = "tell" // a line for who minds the client; no reply
	callWant      call = "want"
	callDrop      call = "drop"
	callUnits     call = "units"
	callPlaces    call = "places"
	callWatch     call = "watch" // a reply for each changed app
	callRestart   call = "restart"
	callLogs      call = "logs" // the reply has the pipe to read from
	callExec      call = "exec"
	callDial      call = "dial" // the reply has the socket
	callListening call = "listening"

	callRuns   call = "runs"
	callForget call = "forget"

	callStart  call = "start"  // one reply when it runs, with the pipes, and one when it has ended
	callJoin   call = "join"   // like start, for a detached job that runs
	callStop   call = "stop"   // of the job that Of started; the reply comes when it has ended
	callSignal call = "signal" // no reply
	callResize call = "resize" // no reply
	callEndIn  call = "end-in" // standard input is complete; no reply
)

// request is what a client asks for. A call uses the fields that it needs.
type request struct {
	ID   uint64 // different for each request
	Call call
	Of   uint64 // an earlier request

	App     string
	Unit    engine.Unit
	Name    engine.UnitName
	Place   engine.Place
	Grace   time.Duration
	Reason  string
	Follow  bool
	Command engine.Command
	Number  int // a port, signal or user

	Job           engine.Job // without its streams
	Err, In       bool       // it has these streams
	Run           string     // ID of a detached job
	Columns, Rows uint16
}

// reply answers the request ID.
type reply struct {
	ID   uint64
	More bool // other replies to the request follow
	Err  *failure

	Isolation engine.Isolation
	App       string
	Units     []engine.UnitName
	Places    []engine.Place
	Output    string
	Exit      engine.Exit
	List      []string
	PID       int
	Limits    volume.Limits
	Runs      []run
}

// run is an [engine.Run].
type run struct {
	Job          engine.Job
	Since, Ended time.Time
	PID          int
	Limits       volume.Limits
	Exit         engine.Exit // if it has ended
}

// failure is an error of the engine.
type failure struct {
	Text    string
	Start   *engine.StartError
	Exit    *engine.Exit
	Foreign bool // [engine.ErrForeign]
	Ended   bool // the request's context has ended
	Errno   syscall.Errno
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{
		Text: err.Error(), Foreign: errors.Is(err, engine.ErrForeign),
		Ended: errors.Is(err, context.Canceled),
	}
	if start, ok := errors.AsType[engine.StartError](err); ok {
		f.Start = &start
	}
	if exit, ok := errors.AsType[engine.Exit](err); ok {
		f.Exit = &exit
	}
	errors.As(err, &f.Errno)
	return f
}

// err returns the error that the engine returned, as far as callers can tell.
func (f *failure) err() error {
	if f == nil {
		return nil
	}
	e := remoteError{text: f.Text}
	if f.Start != nil {
		e.is = append(e.is, *f.Start)
	}
	if f.Exit != nil {
		e.is = append(e.is, *f.Exit)
	}
	if f.Foreign {
		e.is = append(e.is, engine.ErrForeign)
	}
	if f.Ended {
		e.is = append(e.is, context.Canceled)
	}
	if f.Errno != 0 {
		e.is = append(e.is, f.Errno)
	}
	return e
}

// remoteError is an error from the other process, with the errors in it that callers look for.
type remoteError struct {
	text string
	is   []error
}

func (e remoteError) Error() string   { return e.text }
func (e remoteError) Unwrap() []error { return e.is }
