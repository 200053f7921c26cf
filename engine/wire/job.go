package wire

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"paas/engine"
)

// job is a process that runs once, for a client.
type job struct {
	engine.Process
	grace   time.Duration
	signals chan int
	endIn   func() // standard input is complete
}

// tell passes on a request that gets no reply. It does not block: a process that has not taken
// earlier signals misses one.
func (j *job) tell(r request) {
	switch r.Call {
	case callSignal:
		select {
		case j.signals <- r.Number:
		default:
		}
	case callResize:
		j.Resize(r.Columns, r.Rows)
	case callEndIn:
		j.endIn()
	}
}

// passSignals sends the signals to the process until it has ended.
func (j *job) passSignals() {
	for {
		select {
		case number := <-j.signals:
			j.Signal(number)
		case <-j.Done():
			return
		}
	}
}

func (s *server) jobOf(id uint64) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tasks[id]; t != nil {
		return t.job
	}
	return nil
}

// stopStarting returns the jobs that run. None starts after it.
func (s *server) stopStarting() (jobs []*job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.tasks {
		if t.job != nil {
			jobs = append(jobs, t.job)
		}
	}
	return jobs
}

// start starts a job, replies with its pipes, and again when it has ended.
func (s *server) start(ctx context.Context, r request) {
	complete := make(chan struct{})
	endIn := sync.OnceFunc(func() { close(complete) })
	defer endIn()
	var p pipes
	defer p.close()
	spec := r.Job
	if out := p.out(); out != nil {
		spec.Out = out
		defer s.untilLost(out)()
	}
	if r.Err {
		if out := p.out(); out != nil {
			spec.Err = out
			defer s.untilLost(out)()
		}
	}
	if r.In {
		spec.In = input{p.in(), complete, s.ctx.Done()}
	}
	if p.err != nil {
		s.reply(r, reply{}, p.err)
		return
	}
	process, err := s.engine.Start(ctx, spec)
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	j := &job{Process: process, grace: spec.Grace, signals: make(chan int, 16), endIn: endIn}
	s.mu.Lock()
	s.tasks[r.ID].job = j
	closed := s.closed
	s.mu.Unlock()
	if closed {
		go j.Stop(0)
	}
	s.reply(r, reply{More: true, PID: j.PID(), Limits: j.Limits()}, nil, p.theirs...)
	p.sent()
	j.passSignals()
	p.close() // the client reads to the end of the pipes
	s.reply(r, reply{Exit: j.Exit()}, nil)
}

// pipes are the pipes between a job and its client.
type pipes struct {
	ours   []*os.File
	theirs []syscall.Conn
	err    error
}

// out returns a new pipe to the client, in the first error's case nil.
func (p *pipes) out() *os.File {
	return p.open(func(read, write *os.File) (_, _ *os.File) { return write, read })
}

// in returns a new pipe from the client.
func (p *pipes) in() *os.File {
	return p.open(func(read, write *os.File) (_, _ *os.File) { return read, write })
}

func (p *pipes) open(ends func(read, write *os.File) (ours, theirs *os.File)) *os.File {
	read, write, err := os.Pipe()
	if err != nil {
		p.err = errors.Join(p.err, err)
		return nil
	}
	ours, theirs := ends(read, write)
	p.ours, p.theirs = append(p.ours, ours), append(p.theirs, theirs)
	return ours
}

// sent closes the client's ends here.
func (p *pipes) sent() {
	for _, f := range p.theirs {
		f.(*os.File).Close()
	}
	p.theirs = nil
}

func (p *pipes) close() {
	p.sent()
	closeAll(p.ours)
	p.ours = nil
}

// input is the standard input of a job. A pipe also ends if the client is killed: half an input must
// not pass for the whole.
type input struct {
	*os.File
	complete, lost <-chan struct{}
}

func (i input) Read(p []byte) (int, error) {
	n, err := i.File.Read(p)
	if err == io.EOF {
		select {
		case <-i.complete:
		case <-i.lost:
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, err
}
