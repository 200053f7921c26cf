package wire

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// started is a process that the engine has started for this client.
type started struct {
	client *Client
	id     uint64 // of the request
	pid    int
	limits volume.Limits

	ended chan struct{} // closed when the engine has told how it ended
	done  chan struct{}
	exit  engine.Exit
}

func (c *Client) newStarted() *started {
	return &started{client: c, ended: make(chan struct{}), done: make(chan struct{})}
}

// join makes p the detached job.
func (p *started) join(ctx context.Context, run string) (id uint64, err error) {
	m, err := p.client.askMore(ctx, request{Call: callJoin, Run: run}, p.end)
	if err != nil {
		return 0, err
	}
	go func() {
		<-p.ended
		close(p.done)
	}()
	return m.ID, nil
}

// Start implements [engine.Engine].
func (c *Client) Start(ctx context.Context, job engine.Job) (engine.Process, error) {
	out, errs, in := job.Out, job.Err, job.In
	r := request{Call: callStart, Job: job, Err: errs != nil && job.Terminal == nil, In: in != nil}
	r.Job.Out, r.Job.Err, r.Job.In = nil, nil, nil
	p := c.newStarted()
	m, err := c.askMore(ctx, r, p.end)
	if err != nil {
		return nil, err
	}
	p.id, p.pid, p.limits = m.ID, m.PID, m.Limits
	files := m.files
	next := func() *os.File {
		if len(files) == 0 {
			return nil
		}
		f := files[0]
		files = files[1:]
		return f
	}
	var copying sync.WaitGroup
	copyOut := func(to io.Writer) {
		if from := next(); from != nil {
			copying.Go(func() { drain(to, from) })
		}
	}
	copyOut(out) // a detached job has no pipes
	if r.Err {
		copyOut(errs)
	}
	if to := next(); to != nil {
		go p.copyIn(to, in) // nobody waits for it: in may block
		go func() {
			<-p.done
			to.Close()
		}()
	}
	go func() {
		<-p.ended
		copying.Wait()
		close(p.done)
	}()
	return p, nil
}

// end notes how the process has ended.
func (p *started) end(m message) {
	p.exit = m.Exit
	if err := m.err(); err != nil {
		p.exit = engine.Exit{Reason: err.Error()}
	}
	close(p.ended)
}

// drain copies from a pipe to its end. It ignores errors of to: the process must not block.
func drain(to io.Writer, from *os.File) {
	defer from.Close()
	buffer := make([]byte, 8<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// copyIn copies standard input, and tells the engine if it is complete.
func (p *started) copyIn(to *os.File, from io.Reader) {
	_, err := io.Copy(struct{ io.Writer }{to}, from)
	if err == nil {
		p.client.post(request{Call: callEndIn, Of: p.id}, nil)
		to.Close()
	}
}

func (p *started) PID() int              { return p.pid }
func (p *started) Limits() volume.Limits { return p.limits }
func (p *started) Done() <-chan struct{} { return p.done }
func (p *started) Exit() engine.Exit     { return p.exit }

// Signal implements [engine.Process].
func (p *started) Signal(number int) {
	p.client.post(request{Call: callSignal, Of: p.id, Number: number}, nil)
}

// Resize implements [engine.Process].
func (p *started) Resize(columns, rows uint16) {
	p.client.post(request{Call: callResize, Of: p.id, Columns: columns, Rows: rows}, nil)
}

// Stop implements [engine.Process].
func (p *started) Stop(grace time.Duration) {
	p.client.post(request{Call: callStop, Of: p.id, Grace: grace}, nil)
	<-p.done
}

var _ engine.Engine = (*Client)(nil)
