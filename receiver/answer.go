package receiver

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"paas/frame"
	"paas/volume"
)

// listen opens the socket that the hooks call. Call it again if the file is gone.
func (r *Receiver) listen() error {
	if r.listener != nil {
		r.listener.Close()
	}
	l, err := r.Volume.Listen(r.name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.socket, r.listener = l.Addr().String(), l
	r.mu.Unlock()
	r.calls.Go(func() { r.accept(l) })
	return nil
}

// hookSocket is the name of the socket of a receiver that takes over from none. The hooks of each
// receiver must reach that one.
const hookSocket = "run/hook"

// nameSocket names the socket of this receiver, and removes those of earlier ones that took over.
func (r *Receiver) nameSocket() error {
	if r.name = hookSocket; r.TakesOver {
		r.name += "-" + rand.Text()[:8]
		return nil
	}
	left, err := filepath.Glob(filepath.Join(r.Volume.Root, hookSocket+"-*.sock"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// hangUp closes the socket and waits for calls under way.
func (r *Receiver) hangUp() {
	r.listener.Close()
	r.calls.Wait()
}

func (r *Receiver) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // most likely too many open files, which passes
			r.Log.Error("hook not answered", "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		r.calls.Go(func() {
			defer conn.Close()
			if err := r.answer(conn); err != nil {
				r.Log.Error("hook not answered", "err", err)
			}
		})
	}
}

// call is what a hook reports to the server.
type call struct {
	token, name string
	env         []string
	lines       []string
}

const (
	maxCall  = 10 * time.Second // for a hook to report what git told it
	maxLines = 1000
	maxEnv   = 100
)

var errTooMuch = errors.New("more references or push options than a push can have")

// answer answers one call of a hook.
func (r *Receiver) answer(conn net.Conn) (err error) {
	conn.SetReadDeadline(time.Now().Add(maxCall))
	in := bufio.NewReader(conn)
	c, err := readCall(in)
	if err != nil && !errors.Is(err, errTooMuch) {
		return err
	}
	conn.SetReadDeadline(time.Time{})
	r.mu.Lock()
	s := r.sessions[c.token]
	if s != nil {
		s.calls.Add(1)
		defer s.calls.Done()
	}
	r.mu.Unlock()
	if s == nil {
		return fmt.Errorf("%s of no push of ours", c.name)
	}
	// The hook sends nothing more, and its connection stays open while it runs.
	ctx, hungUp := context.WithCancel(s.ctx)
	defer hungUp()
	go func() {
		in.ReadByte()
		hungUp()
	}()
	say := voice{frame.Writer{To: deadlined{conn, 2 * r.stall}, Kind: frameOut}}
	status := 1
	if err != nil {
		say.fault("%v", err)
	} else if err := r.decide(ctx, s, c, say); err == nil {
		status = 0
	} else {
		for _, line := range reasons(err) {
			say.fault("%s", line)
		}
		r.advise(volume.RemedyOf(err), say)
	}
	conn.SetWriteDeadline(time.Now().Add(2 * r.stall))
	if frame.Write(conn, frameExit, []byte{byte(status)}) != nil {
		return nil // the hook was killed; git finds out by itself
	}
	return nil
}

// decide runs the phase of the push that the hook is for. An error refuses the push, or says why
// the release is not live.
func (r *Receiver) decide(ctx context.Context, s *session, c call, say voice) error {
	switch c.name {
	case preReceive:
		p, err := r.preReceive(ctx, s, c, say)
		s.prepared = &p
		return err
	case postReceive:
		a, err := r.postReceive(s, say)
		s.accepted = &a
		return err
	}
	return fmt.Errorf("no hook is called %s", plain(c.name, 40))
}

// rescue turns a panic in a phase into an error: else one odd commit would end the server for
// everybody.
func (r *Receiver) rescue(s *session, err *error) {
	if p := recover(); p != nil {
		r.Log.Error("panic", "app", s.app.Name, "err", p, "stack", string(debug.Stack()))
		*err = errors.New("the server made a mistake, see its log; nothing changed")
	}
}

// readCall reads what a hook reports, to its end. With errTooMuch it has read all, but has not kept
// all.
func readCall(r io.Reader) (c call, err error) {
	for {
		k, content, readErr := frame.Read(r)
		if readErr != nil {
			return c, readErr
		}
		switch k {
		case frameToken:
			c.token = string(content)
		case frameName:
			c.name = string(content)
		case frameEnv:
			if len(c.env) < maxEnv {
				c.env = append(c.env, string(content))
			} else {
				err = errTooMuch
			}
		case frameLine:
			if len(c.lines) < maxLines {
				c.lines = append(c.lines, string(content))
			} else {
				err = errTooMuch
			}
		case frameEnd:
			return c, err
		default:
			return c, fmt.Errorf("a hook said %q", k)
		}
	}
}

// pushOptions are the options that the pusher gave with -o.
func (c call) pushOptions() (options []string) {
	for _, v := range c.env {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "GIT_PUSH_OPTION_") && name != "GIT_PUSH_OPTION_COUNT" {
			options = append(options, value)
		}
	}
	return options
}

// deadlined bounds how long each write may take.
type deadlined struct {
	net.Conn
	each time.Duration
}

func (d deadlined) Write(p []byte) (int, error) {
	d.SetWriteDeadline(time.Now().Add(d.each))
	return d.Conn.Write(p)
}
