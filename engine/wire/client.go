package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// Client is the engine that another process serves. Fill in the fields, then call Open. Its units
// and detached jobs go on after Close, and when this process has ended.
type Client struct {
	Socket  *net.UnixConn
	Builder Builder

	*conn
	isolation engine.Isolation
	reading   sync.WaitGroup

	mu      sync.Mutex
	last    uint64                   // ID of a request
	waiting map[uint64]func(message) // what to do with the replies; must not block
	lost    error                    // why there are no more replies
}

// Builder is the part of an engine that builds, in this process. For its methods see
// [engine.Engine].
type Builder interface {
	Open() error
	Close() error
	Adopt(name string) []string
	Build(ctx context.Context, job engine.BuildJob) (volume.Built, error)
	Sweep(ctx context.Context, app string) error
}

// message is a reply with its descriptors, or the loss of the connection.
type message struct {
	reply
	files []*os.File
	lost  error
}

func (m message) err() error {
	if m.lost != nil {
		return m.lost
	}
	return m.reply.Err.err()
}

// Open implements [engine.Engine].
func (c *Client) Open() error {
	c.conn, c.waiting = newConn(c.Socket, true), map[uint64]func(message){}
	c.reading.Go(c.read)
	hello, err := c.ask(context.Background(), request{Call: callHello})
	if err == nil {
		c.isolation = hello.Isolation
		err = c.Builder.Open()
	}
	if err != nil {
		c.Socket.Close()
		c.reading.Wait()
	}
	return err
}

// Close implements [engine.Engine].
func (c *Client) Close() error {
	_, err := c.ask(context.Background(), request{Call: callClose})
	err = errors.Join(err, c.Builder.Close(), c.Socket.Close())
	c.reading.Wait()
	return err
}

// read passes on replies until the connection ends.
func (c *Client) read() {
	for {
		var m message
		if m.files, m.lost = c.conn.read(&m.reply); m.lost != nil {
			c.end(fmt.Errorf("the connection to the engine has ended: %w", m.lost))
			return
		}
		c.mu.Lock()
		then := c.waiting[m.ID]
		if !m.More {
			delete(c.waiting, m.ID)
		}
		c.mu.Unlock()
		if then == nil {
			closeAll(m.files)
			continue
		}
		then(m)
	}
}

// end tells all who wait that no reply will come.
func (c *Client) end(why error) {
	c.close()
	c.mu.Lock()
	all := maps.Clone(c.waiting)
	c.lost, c.waiting = why, nil
	c.mu.Unlock()
	for _, then := range all {
		then(message{lost: why})
	}
}

// post sends a request, and has then called with its replies. An error means that none will come.
func (c *Client) post(r request, then func(message)) (id uint64, err error) {
	c.mu.Lock()
	if c.lost != nil {
		c.mu.Unlock()
		return 0, c.lost
	}
	c.last++
	r.ID = c.last
	if then != nil {
		c.waiting[r.ID] = then
	}
	c.mu.Unlock()
	err = c.send(&r)
	if errors.Is(err, errTooLarge) {
		c.mu.Lock()
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		return 0, fmt.Errorf("request %w", err)
	}
	return r.ID, nil // if the connection has ended, the reader calls then
}

// ask sends a request and waits for its reply, the first if there are several. When ctx ends, the
// engine ends the call; the reply still comes.
func (c *Client) ask(ctx context.Context, r request) (message, error) {
	return c.askMore(ctx, r, func(message) {})
}

// askMore is ask, and has then called with the other replies.
func (c *Client) askMore(ctx context.Context, r request, then func(message)) (message, error) {
	if err := ctx.Err(); err != nil {
		return message{}, context.Cause(ctx)
	}
	first := make(chan message, 1)
	replied := false
	id, err := c.post(r, func(m message) {
		if replied {
			then(m)
			return
		}
		replied = true
		first <- m
	})
	if err != nil {
		return message{}, err
	}
	var m message
	select {
	case m = <-first:
	case <-ctx.Done():
		c.cancel(id)
		m = <-first
	}
	if err = m.err(); err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return m, err
}

func (c *Client) cancel(id uint64) { c.post(request{Call: callCancel, Of: id}, nil) }

// Adopt implements [engine.Engine].
func (c *Client) Adopt(name string) []string { return c.Builder.Adopt(name) }

// Isolation implements [engine.Engine].
func (c *Client) Isolation() engine.Isolation { return c.isolation }

// Build implements [engine.Engine].
func (c *Client) Build(ctx context.Context, job engine.BuildJob) (volume.Built, error) {
	return c.Builder.Build(ctx, job)
}

// Sweep implements [engine.Engine].
func (c *Client) Sweep(ctx context.Context, app string) error { return c.Builder.Sweep(ctx, app) }

// Guard restricts a user of this machine as apps' users are, before a build runs as that user.
func (c *Client) Guard(user int) error {
	_, err := c.ask(context.Background(), request{Call: callGuard, Number: user})
	return err
}

// Mind lets the engine end what this process starts by itself, with the mark, once this process has
// ended. tell tells it what runs.
func (c *Client) Mind() (mark string, tell func(line string), err error) {
	m, err := c.ask(context.Background(), request{Call: callMind})
	return m.Output, func(line string) { c.post(request{Call: callTell, Reason: line}, nil) }, err
}

// Want implements [engine.Fleet].
func (c *Client) Want(ctx context.Context, unit engine.Unit) error {
	_, err := c.ask(ctx, request{Call: callWant, Unit: unit})
	return err
}

// Drop implements [engine.Fleet].
func (c *Client) Drop(ctx context.Context, name engine.UnitName, grace time.Duration) error {
	_, err := c.ask(ctx, request{Call: callDrop, Name: name, Grace: grace})
	return err
}

// Units implements [engine.Fleet].
func (c *Client) Units(ctx context.Context) ([]engine.UnitName, error) {
	m, err := c.ask(ctx, request{Call: callUnits})
	return m.Units, err
}

// Places implements [engine.Fleet].
func (c *Client) Places(ctx context.Context, app string) ([]engine.Place, error) {
	m, err := c.ask(ctx, request{Call: callPlaces, App: app})
	return m.Places, err
}

// Watch implements [engine.Fleet].
func (c *Client) Watch(ctx context.Context, changed func(app string)) error {
	var mu sync.Mutex
	apps, wake := map[string]struct{}{}, make(chan struct{}, 1)
	var ended error
	id, err := c.post(request{Call: callWatch}, func(m message) {
		mu.Lock()
		defer mu.Unlock()
		if m.More {
			apps[m.App] = struct{}{}
		} else {
			ended = m.err()
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	for {
		select {
		case <-wake:
		case <-ctx.Done():
			c.cancel(id)
			return context.Cause(ctx)
		}
		mu.Lock()
		all, err := apps, ended
		apps = map[string]struct{}{}
		mu.Unlock()
		for app := range all {
			changed(app)
		}
		if err != nil {
			return err
		}
	}
}

// Restart implements [engine.Fleet].
func (c *Client) Restart(ctx context.Context, place engine.Place, reason string) error {
	_, err := c.ask(ctx, request{Call: callRestart, Place: place, Reason: reason})
	return err
}

// Logs implements [engine.Fleet].
func (c *Client) Logs(
	ctx context.Context, place engine.Place, follow bool,
) (io.ReadCloser, error) {
	m, err := c.ask(ctx, request{Call: callLogs, Place: place, Follow: follow})
	if err == nil && len(m.files) != 1 {
		err = errors.New("the engine has sent no pipe")
	}
	if err != nil {
		closeAll(m.files)
		return nil, err
	}
	return &logReader{m.files[0], context.AfterFunc(ctx, func() { c.cancel(m.ID) })}, nil
}

// logReader reads what the engine copies to a pipe. The engine notices when it is closed.
type logReader struct {
	*os.File
	forget func() bool
}

func (r *logReader) Close() error {
	r.forget()
	return r.File.Close()
}

// Runs implements [engine.Engine].
func (c *Client) Runs(ctx context.Context) (list []engine.Run, err error) {
	m, err := c.ask(ctx, request{Call: callRuns})
	for _, r := range m.Runs {
		p := c.newStarted()
		p.pid, p.limits = r.PID, r.Limits
		if !r.Ended.IsZero() {
			p.exit = r.Exit
			close(p.done)
		} else if p.id, err = p.join(ctx, r.Job.Detached.ID); err != nil {
			return nil, err
		}
		list = append(list, engine.Run{Job: r.Job, Process: p, Since: r.Since, Ended: r.Ended})
	}
	return list, err
}

// Forget implements [engine.Engine].
func (c *Client) Forget(ctx context.Context, id string) error {
	_, err := c.ask(ctx, request{Call: callForget, Run: id})
	return err
}

// Exec implements [engine.Fleet].
func (c *Client) Exec(
	ctx context.Context, place engine.Place, command engine.Command,
) (output string, exit engine.Exit, err error) {
	m, err := c.ask(ctx, request{Call: callExec, Place: place, Command: command})
	return m.Output, m.Exit, err
}

// Dial implements [engine.Fleet].
func (c *Client) Dial(ctx context.Context, place engine.Place, port int) (net.Conn, error) {
	m, err := c.ask(ctx, request{Call: callDial, Place: place, Number: port})
	defer closeAll(m.files)
	if err == nil && len(m.files) != 1 {
		err = errors.New("the engine has sent no connection")
	}
	if err != nil {
		return nil, err
	}
	return net.FileConn(m.files[0])
}

// Listening implements [engine.Fleet].
func (c *Client) Listening(ctx context.Context, place engine.Place) []string {
	m, _ := c.ask(ctx, request{Call: callListening, Place: place})
	return m.List
}
