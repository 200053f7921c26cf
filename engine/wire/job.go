package wire

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"paas/engine"
)

// job is a process that runs once, for a client.
type job struct {
	engine.Process
	detached bool
	grace    time.Duration
	signals  chan int
	endIn    func()        // standard input is complete
	told     chan struct{} // closed when the client knows the end, or cannot
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

// passSignals sends the signals to the process until it has ended. Of a detached one only until gone
// closes; then it returns false.
func (j *job) passSignals(gone <-chan struct{}) (ended bool) {
	if !j.detached {
		gone = nil
	}
	for {
		select {
		case number := <-j.signals:
			j.Signal(number)
		case <-j.Done():
			return true
		case <-gone:
			return false
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

// stopStarting returns the jobs that run and are not detached. None starts after it.
func (s *server) stopStarting() (jobs []*job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.tasks {
		if t.job != nil && !t.job.detached {
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
	detached := spec.Detached != nil
	if detached {
		r.Err, r.In = false, false
	} else if out := p.out(); out != nil {
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
	j := &job{Process: process, detached: detached, grace: spec.Grace, endIn: endIn}
	closed := s.enterJob(r, j)
	defer close(j.told)
	if closed && !detached {
		go j.Stop(0)
	}
	s.reply(r, reply{More: true, PID: j.PID(), Limits: j.Limits()}, nil, p.theirs...)
	p.sent()
	if j.passSignals(s.ctx.Done()) {
		p.close() // the client reads to the end of the pipes
		s.reply(r, reply{Exit: j.Exit()}, nil)
	}
}

// enterJob notes that r has started j, and reports whether the client starts nothing more.
func (s *server) enterJob(r request, j *job) (closed bool) {
	j.signals, j.told = make(chan int, 16), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks[r.ID].job = j
	return s.closed
}

// join lets the client stop a detached job, and replies when that has ended.
func (s *server) join(ctx context.Context, r request) {
	list, err := s.engine.Runs(ctx)
	at := slices.IndexFunc(list, func(found engine.Run) bool { return found.Detached.ID == r.Run })
	if err == nil && at < 0 {
		err = errors.New("the job is gone")
	}
	if err != nil {
		s.reply(r, reply{}, err)
		return
	}
	j := &job{Process: list[at].Process, detached: true, endIn: func() {}}
	s.enterJob(r, j)
	s.reply(r, reply{More: true}, nil)
	if j.passSignals(s.ctx.Done()) {
		s.reply(r, reply{Exit: j.Exit()}, nil)
	}
}

// runs lists the detached jobs.
func (s *server) runs(ctx context.Context) (list []run, err error) {
	found, err := s.engine.Runs(ctx)
	for _, f := range found {
		r := run{Job: f.Job, Since: f.Since, Ended: f.Ended, PID: f.PID(), Limits: f.Limits()}
		if !f.Ended.IsZero() {
			r.Exit = f.Exit()
		}
		list = append(list, r)
	}
	return list, err
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
