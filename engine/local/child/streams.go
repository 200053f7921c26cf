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

// streams are the server's ends of a command's standard streams. With a terminal all of them are
// its master.
type streams struct {
	out      *os.File
	err      *os.File // nil: joined with out
	in       *os.File // nil: empty
	terminal bool
	theirs   []*os.File // the command's ends, open until it has started
}

// open makes the streams that c needs and gives cmd its ends.
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

// started closes the command's ends in this process.
func (s *streams) started() {
	for _, f := range s.theirs {
		f.Close()
	}
	s.theirs = nil
}

// copy copies all streams until they end. The returned function waits for the end of the output.
func (s *streams) copy(c Command) (wait func()) {
	var copying sync.WaitGroup
	copying.Go(func() { drain(c.Out, s.out) })
	if s.err != nil {
		copying.Go(func() { drain(c.Err, s.err) })
	}
	if s.in != nil {
		// nobody waits for this: c.In may block long after the command's end
		go copyInput(s.in, c.In, s.terminal)
	}
	return copying.Wait
}

// finish ends the reading of output in a second. What the command has written by then is still
// copied, however slow the writer is.
func (s *streams) finish() {
	for _, f := range []*os.File{s.out, s.err} {
		f.SetReadDeadline(time.Now().Add(time.Second)) // an error if f is nil
	}
}

func (s *streams) close() {
	for _, f := range []*os.File{s.out, s.err, s.in} {
		f.Close() // an error if f is nil
	}
}

// drain copies in to out until the end and ignores errors of out: a process must not block because
// its output cannot be written. The buffer is small because each idle process has one.
func drain(out io.Writer, in io.Reader) {
	buffer := make([]byte, 8<<10)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			out.Write(buffer[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if in, ok := in.(*os.File); ok {
				drainPipe(out, in, buffer)
			}
		}
		if err != nil {
			return
		}
	}
}

// drainPipe copies what can be read without waiting, at most what a pipe can contain (pipe(7)): a
// process may go on writing for ever.
func drainPipe(out io.Writer, in *os.File, buffer []byte) {
	const pipeSize = 1 << 20
	raw, err := in.SyscallConn()
	if err != nil || in.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for left := pipeSize; left > 0; {
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

// copyInput copies a person's input to the command, and its end. For a terminal the end is Ctrl-D,
// twice after an incomplete line, because the first one only delivers the line (termios(3), VEOF).
// After a read error the input does not end: half a file must not pass for the whole.
func copyInput(to *os.File, in io.Reader, terminal bool) {
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
