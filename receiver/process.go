package receiver

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"

	"paas/exitcode"
	"paas/subprocess"
)

// process is the git process of a request.
type process struct {
	Request
	// stall is how long the client may leave output unread before it counts as gone.
	stall  time.Duration
	env    []string        // in addition to what git always gets
	client context.Context // ends when the client has left; may be nil
	gone   func()          // called once when it has, in a goroutine of its own
	heard  *transcript
}

var protocolVersion = regexp.MustCompile(`^version=[012]$`)

// run runs git to its end, and returns its exit status: 128 + signal if it was killed. It goes on
// if the client leaves; gone may end it.
func (p *process) run(cmd *exec.Cmd) (status int, err error) {
	cmd.Env = append(cmd.Env, p.env...)
	if protocolVersion.MatchString(p.Protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+p.Protocol)
	}
	leave := sync.OnceFunc(func() { go p.gone() })

	// A pipe instead of cmd.Stdin, because Wait would wait for the client to close its side.
	in, err := cmd.StdinPipe()
	if err != nil {
		return 1, err
	}
	// Pipes of our own, because Wait allows only limited time for copying, and a slow client may
	// take longer for the end of a fetch.
	outs := []*clientWriter{
		newClientWriter(io.MultiWriter(p.heard, p.Stdout), p.stall, leave),
		newClientWriter(p.Stderr, p.stall, leave),
	}
	var readers, writers []*os.File
	defer func() {
		for _, f := range append(readers, writers...) {
			f.Close()
		}
	}()
	for range outs {
		r, w, err := os.Pipe()
		if err != nil {
			return 1, err
		}
		readers, writers = append(readers, r), append(writers, w)
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]

	var copying sync.WaitGroup
	ended := make(chan struct{})
	err = subprocess.Run(cmd, func() {
		for i, out := range outs {
			writers[i].Close()
			copying.Go(func() {
				io.Copy(out, readers[i])
				out.finish()
			})
		}
		go func() {
			io.Copy(in, p.heard.counting(p.Stdin))
			in.Close()
			// git has stopped reading: let the client go on, to read why
			io.Copy(io.Discard, p.Stdin)
		}()
		if p.client != nil {
			go func() {
				select {
				case <-p.client.Done():
					in.Close()
					leave()
				case <-ended:
				}
			}()
		}
	})
	close(ended)
	if cmd.Process == nil {
		return 1, err
	}
	// processes that it left would keep the pipes open
	subprocess.Kill(cmd)
	copying.Wait()
	if err != nil && cmd.ProcessState == nil {
		return 1, err
	}
	return exitcode.Of(cmd.ProcessState), nil
}

// clientWriter writes to a client. If a write fails or takes too long, the client counts as gone,
// and clientWriter drops what it gets from then on: git must not end half-way because nobody reads,
// and a client that does not read must not block a push, and with it the app's turn, for ever.
type clientWriter struct {
	to     io.Writer
	stall  time.Duration
	leave  func()
	chunks chan []byte
	done   chan struct{} // closed when nothing is written any more
	gone   bool
}

func newClientWriter(to io.Writer, stall time.Duration, leave func()) *clientWriter {
	p := &clientWriter{
		to:     to,
		stall:  stall,
		leave:  leave,
		chunks: make(chan []byte),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		for c := range p.chunks {
			if _, err := p.to.Write(c); err != nil {
				return
			}
		}
	}()
	return p
}

// Write implements [io.Writer]; it always succeeds.
func (p *clientWriter) Write(b []byte) (int, error) {
	if p.gone {
		return len(b), nil
	}
	timer := time.NewTimer(p.stall)
	defer timer.Stop()
	select {
	case p.chunks <- bytes.Clone(b):
		return len(b), nil
	case <-p.done:
	case <-timer.C:
	}
	p.gone = true
	p.leave()
	return len(b), nil
}

// finish waits until the last chunk is written or given up.
func (p *clientWriter) finish() {
	close(p.chunks)
	select {
	case <-p.done:
	case <-time.After(p.stall):
	}
}

// transcript records of a session how much came in and how that began, and the end of what went
// out.
type transcript struct {
	mu   sync.Mutex
	in   int64
	head []byte
	out  []byte
}

const (
	headSize = 12      // bytes; the length of a packet and the word after it
	tailSize = 4 << 10 // bytes; git's report about the references comes last
)

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = append(t.out, p[max(0, len(p)-tailSize):]...)
	t.out = t.out[max(0, len(t.out)-tailSize):]
	return len(p), nil
}

// shallow reports whether the client lacks a part of its history: it says so in the first packet of
// a push (gitprotocol-pack(5), "Reference Update Request").
func (t *transcript) shallow() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.head) == headSize && string(t.head[4:]) == "shallow "
}

// failed matches the line of git's report (gitprotocol-pack(5), "Report Status") about a pack that
// it refused; the other is "unpack ok".
var failed = regexp.MustCompile(`[0-9a-f]{4}unpack [^o]`)

func (t *transcript) unpackFailed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return failed.Match(t.out)
}

// taken matches the line of git's report about a reference that it moved.
var taken = regexp.MustCompile(`[0-9a-f]{4}ok refs/`)

// accepted reports whether git has moved a reference.
func (t *transcript) accepted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return taken.Match(t.out)
}

// read is how much came in, in bytes.
func (t *transcript) read() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.in
}

// saw reports whether text is in the end of what went out.
func (t *transcript) saw(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.out, []byte(text))
}

// counting returns a reader that records what is read from r.
func (t *transcript) counting(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		t.mu.Lock()
		t.in += int64(n)
		t.head = append(t.head, p[:min(n, headSize-len(t.head))]...)
		t.mu.Unlock()
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
