package receiver

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"paas/exitcode"
	"paas/git"
)

// process is a git process that talks to a client.
type process struct {
	protocol       string
	stdin          io.Reader
	stdout, stderr io.Writer
	stall          time.Duration   // how long the client may leave output unread before it counts as gone
	env            []string        // besides what git always gets
	client         context.Context // ends when the client has left; may be nil
	gone           func()          // told once that it has, in a goroutine of its own
	heard          *tail
}

var protocolVersion = regexp.MustCompile(`^version=[012]$`)

// run runs git to its end, and returns its exit status: 128 and the signal for one that was killed.
// A client that leaves does not end it: gone may.
func (p *process) run(cmd *exec.Cmd) (status int, err error) {
	cmd.Env = append(cmd.Env, p.env...)
	if protocolVersion.MatchString(p.protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+p.protocol)
	}
	leave := sync.OnceFunc(func() { go p.gone() })

	// A pipe and not cmd.Stdin: Wait would then wait for the client to end its side.
	in, err := cmd.StdinPipe()
	if err != nil {
		return 1, err
	}
	// Pipes of our own, because Wait gives what exec copies only so long, and a slow client may
	// take longer for the end of a fetch.
	outs := []*patient{newPatient(io.MultiWriter(p.heard, p.stdout), p.stall, leave), newPatient(p.stderr, p.stall, leave)}
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
	err = git.Run(cmd, func() {
		for i, out := range outs {
			writers[i].Close()
			copying.Go(func() {
				io.Copy(out, readers[i])
				out.finish()
			})
		}
		go func() {
			io.Copy(in, p.heard.counting(p.stdin))
			in.Close()
			io.Copy(io.Discard, p.stdin) // git stopped reading; let the client get to reading why
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
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind would hold the pipes open
	copying.Wait()
	if err != nil && cmd.ProcessState == nil {
		return 1, err
	}
	return exitcode.Of(cmd.ProcessState), nil
}

// patient writes to a client, and takes it to be gone when that fails or does not happen for too
// long. From then on it swallows what it is given: git must not end half-way because nobody
// listens, and a client that does not read must not hold a push, and with it the app's turn, for
// ever.
type patient struct {
	to     io.Writer
	stall  time.Duration
	leave  func()
	chunks chan []byte
	done   chan struct{} // closed when nothing is written any more
	gone   bool
}

func newPatient(to io.Writer, stall time.Duration, leave func()) *patient {
	p := &patient{to: to, stall: stall, leave: leave, chunks: make(chan []byte), done: make(chan struct{})}
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
func (p *patient) Write(b []byte) (int, error) {
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

// finish waits until the last chunk is written, or is not going to be.
func (p *patient) finish() {
	close(p.chunks)
	select {
	case <-p.done:
	case <-time.After(p.stall):
	}
}

// tail is what a session is remembered by: how much came in and how that began, and the end of what
// went out.
type tail struct {
	mu   sync.Mutex
	in   int64
	head []byte
	out  []byte
}

const (
	headSize = 12      // bytes; a packet's length and the word after it
	tailSize = 4 << 10 // bytes; git's report on the references comes last
)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = append(t.out, p[max(0, len(p)-tailSize):]...)
	t.out = t.out[max(0, len(t.out)-tailSize):]
	return len(p), nil
}

// shallow says whether the client said that it lacks a part of its history: it does so in the
// first packet of a push (gitprotocol-pack(5), "Reference Update Request").
func (t *tail) shallow() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.head) == headSize && string(t.head[4:]) == "shallow "
}

// failed is the line of git's report (gitprotocol-pack(5), "Report Status") for a pack that was
// not taken; the other is "unpack ok".
var failed = regexp.MustCompile(`[0-9a-f]{4}unpack [^o]`)

func (t *tail) unpackFailed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return failed.Match(t.out)
}

// taken is the line of git's report for a reference that was moved.
var taken = regexp.MustCompile(`[0-9a-f]{4}ok refs/`)

// accepted says whether git reported that it moved a reference.
func (t *tail) accepted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return taken.Match(t.out)
}

// read is how much came in, in bytes.
func (t *tail) read() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.in
}

// saw says whether text is in the end of what went out.
func (t *tail) saw(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.out, []byte(text))
}

// counting counts what is read from r.
func (t *tail) counting(r io.Reader) io.Reader {
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
