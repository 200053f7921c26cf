package child

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// streams are the server's ends of a command's standard streams. Of a terminal all are its master.
type streams struct {
	out      *os.File
	err      *os.File // nil: with out
	in       *os.File // nil: empty
	terminal bool
	theirs   []*os.File // the command's ends, until it has started
}

// open makes the streams that c asks for and gives cmd its ends.
func (s *streams) open(c Command, cmd *exec.Cmd) (err error) {
	if c.Terminal != nil {
		return s.openTerminal(c, cmd)
	}
	defer func() {
		if err != nil {
			s.started()
			s.close()
		}
	}()
	if s.out, cmd.Stdout, err = s.output(); err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if c.Err != nil {
		if s.err, cmd.Stderr, err = s.output(); err != nil {
			return err
		}
	}
	if c.In == nil {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	s.in, cmd.Stdin, s.theirs = write, read, append(s.theirs, read)
	return nil
}

func (s *streams) output() (ours *os.File, theirs io.Writer, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	s.theirs = append(s.theirs, write)
	return read, write, nil
}

// started closes the command's ends here: it has its own by now, or never will.
func (s *streams) started() {
	for _, f := range s.theirs {
		f.Close()
	}
	s.theirs = nil
}

// copy copies until the ends of the streams; the returned function waits for those of the output.
func (s *streams) copy(c Command) (wait func()) {
	var copying sync.WaitGroup
	copying.Go(func() { drain(c.Out, s.out) })
	if s.err != nil {
		copying.Go(func() { drain(c.Err, s.err) })
	}
	if s.in != nil {
		// Nobody waits for it: its reader may have nothing to read long after the command's end.
		go feed(s.in, c.In, s.terminal)
	}
	return copying.Wait
}

// finish has no more waited for than a second from now. What the command has written by then is still
// copied, however slowly it is taken.
func (s *streams) finish() {
	for _, f := range []*os.File{s.out, s.err} {
		if f != nil {
			f.SetReadDeadline(time.Now().Add(time.Second))
		}
	}
}

func (s *streams) close() {
	for _, f := range []*os.File{s.out, s.err, s.in} {
		if f != nil {
			f.Close()
		}
	}
}

// drain copies until the end, whatever becomes of out: a process must not stop because nobody
// writes down what it says. The buffer is small, for there is one for each idle process.
func drain(out io.Writer, in io.Reader) {
	buffer := make([]byte, 8<<10)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			out.Write(buffer[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if in, ok := in.(*os.File); ok {
				drainRest(out, in, buffer)
			}
		}
		if err != nil {
			return
		}
	}
}

// drainRest copies what can be read without waiting, up to what a pipe may hold (pipe(7)): what still
// writes need never stop.
func drainRest(out io.Writer, in *os.File, buffer []byte) {
	const mostInPipe = 1 << 20
	raw, err := in.SyscallConn()
	if err != nil || in.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for left := mostInPipe; left > 0; {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.Read(int(fd), buffer)
			return true
		})
		if err != nil || n <= 0 {
			return
		}
		out.Write(buffer[:n])
		left -= n
	}
}

// feed copies a person's input to the command, and its end: to a terminal that is Ctrl-D, twice
// where a line is not ended, as there the first only hands over the line (termios(3), VEOF). An input
// that fails has not ended: half a file must not pass for the whole.
func feed(to *os.File, in io.Reader, terminal bool) {
	const ctrlD = 4
	buffer := make([]byte, 8<<10)
	lineEnded := true
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			lineEnded = buffer[n-1] == '\n' || buffer[n-1] == '\r'
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		switch {
		case err == nil:
			continue
		case err != io.EOF:
		case !terminal:
			to.Close()
		case lineEnded:
			to.Write([]byte{ctrlD})
		default:
			to.Write([]byte{ctrlD, ctrlD})
		}
		return
	}
}
