package child

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"paas/rig"
	"paas/terminal"
)

// started starts a line and stops it at the end of the test.
func started(t *testing.T, k *Keeper, line string, set func(*Command)) *Child {
	t.Helper()
	c := toRun(line, nil, io.Discard)
	set(&c)
	ch, err := k.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Stop(0) })
	return ch
}

func TestInput(t *testing.T) {
	k := newKeeper(t)
	sent := make([]byte, 1<<20)
	rand.New(rand.NewSource(1)).Read(sent)
	out, errs := &rig.Screen{}, &rig.Screen{}
	p := started(t, k, "cat; echo done >&2; exit 3",
		func(c *Command) { c.In, c.Out, c.Err = bytes.NewReader(sent), out, errs })
	<-p.Done()
	if out.String() != string(sent) {
		t.Errorf("%d bytes of output, not those sent", len(out.String()))
	}
	if errs.String() != "done\n" {
		t.Errorf("errors %q", errs)
	}
	wantEnd(t, p, "exit status 3")
}

// A command's end waits neither for a person who types nothing nor for input that it does not read.
func TestInputBlocks(t *testing.T) {
	k := newKeeper(t)
	silent, _ := io.Pipe()
	for _, in := range []io.Reader{silent, neverEnding{}} {
		p := started(t, k, "exit 4", func(c *Command) { c.In = in })
		<-p.Done()
		if rig.Message(p.Err()) != "exit status 4" {
			t.Error(p.Err())
		}
	}
}

// A slow reader gets the end of the output too, even if an escaped process keeps the pipe open.
func TestDrainAfterDeadline(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	defer read.Close()
	const size = 40_000 // more than one buffer, less than a pipe
	if _, err := write.Write(bytes.Repeat([]byte("x"), size)); err != nil {
		t.Fatal(err)
	}
	read.SetReadDeadline(time.Unix(1, 0)) // it passed while the reader took what came before
	var out bytes.Buffer
	drain(&out, read)
	if out.Len() != size {
		t.Errorf("got %d bytes of %d", out.Len(), size)
	}
}

// A command never sees the end of an input that failed.
func TestInputFails(t *testing.T) {
	k := newKeeper(t)
	out := &rig.Screen{}
	p := started(t, k, "cat; echo the end", func(c *Command) {
		c.Out, c.In = out, io.MultiReader(strings.NewReader("half"),
			iotest.ErrReader(io.ErrUnexpectedEOF))
	})
	rig.Eventually(t, "it came", func() bool { return out.String() == "half" })
	p.Stop(time.Minute)
	if out.String() != "half" {
		t.Errorf("printed %q", out)
	}
	wantEnd(t, p, "signal: terminated")
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestSignals(t *testing.T) {
	k := newKeeper(t)
	out, signals := &rig.Screen{}, make(chan syscall.Signal, 1)
	p := started(t, k, `trap 'echo usr1' USR1; echo up; while :; do sleep 0.01; done`,
		func(c *Command) { c.Out, c.Signals = out, signals })
	rig.Eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	signals <- syscall.SIGUSR1
	rig.Eventually(t, "it was told",
		func() bool { return strings.Contains(out.String(), "usr1\n") })
	signals <- syscall.SIGTERM
	<-p.Done()
	if rig.Message(p.Err()) != "signal: terminated" {
		t.Error(p.Err())
	}
}

// person is a person at a terminal.
type person struct {
	*rig.Screen
	keys  *io.PipeWriter
	sizes terminal.Sizes
}

func atTerminal(t *testing.T, k *Keeper, line string) (person, *Child) {
	t.Helper()
	read, write := io.Pipe()
	t.Cleanup(func() { write.Close() })
	p := person{&rig.Screen{}, write, terminal.NewSizes()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the terminal:\n%s", p)
		}
	})
	ch := started(t, k, line, func(c *Command) {
		c.In, c.Out = read, p
		c.Terminal = &terminal.Terminal{
			Type:    "xterm",
			Size:    terminal.Size{Columns: 100, Rows: 30},
			Resized: p.sizes,
		}
	})
	return p, ch
}

func (p person) sees(t *testing.T, text string) {
	t.Helper()
	rig.Eventually(t, fmt.Sprintf("the terminal shows %q", text),
		func() bool { return strings.Contains(p.String(), text) })
}

func TestTerminal(t *testing.T) {
	k := newKeeper(t)
	p, ch := atTerminal(t, k,
		`tty; stty size; echo $TERM; echo oops >&2; while read line; do echo "<$line>"; stty size; done; exit 5`)
	p.sees(t, "/dev/pts/")
	p.sees(t, "30 100\r\nxterm\r\noops\r\n")
	p.sizes.Put(terminal.Size{Columns: 132, Rows: 43})
	io.WriteString(p.keys, "typed\r")
	p.sees(t, "typed\r\n<typed>\r\n") // echoed
	rig.Eventually(t, "the new size is seen", func() bool {
		io.WriteString(p.keys, "again\r")
		return strings.Contains(p.String(), "43 132\r\n")
	})
	p.keys.Close() // the end of the input is Ctrl-D
	<-ch.Done()
	wantEnd(t, ch, "exit status 5")
}

func TestTerminalInputEndsInALine(t *testing.T) {
	k := newKeeper(t)
	p, ch := atTerminal(t, k, "cat; exit 6")
	io.WriteString(p.keys, "half")
	p.keys.Close()
	<-ch.Done()
	wantEnd(t, ch, "exit status 6")
	if p.String() != "halfhalf" {
		t.Errorf("the terminal shows %q", p)
	}
}

func TestCtrlC(t *testing.T) {
	k := newKeeper(t)
	p, ch := atTerminal(t, k,
		`trap 'echo interrupted; exit 7' INT; echo up; while :; do sleep 0.01; done`)
	p.sees(t, "up\r\n")
	io.WriteString(p.keys, "\x03")
	<-ch.Done()
	wantEnd(t, ch, "exit status 7")
	rig.WantIn(t, "terminal", p.String(), "interrupted")
}

// A shell at a terminal ignores SIGTERM. The end of the terminal ends it, its jobs and what
// escaped.
func TestTerminalGoesAway(t *testing.T) {
	rig.Need(t, "bash")
	k := newKeeper(t)
	p, ch := atTerminal(t, k, "bash --norc --noprofile -i")
	io.WriteString(p.keys, "set -m; sleep 1000 & (setsid sleep 1000 &) ; echo $((6*7)) up\r")
	p.sees(t, "42 up")
	ch.Stop(rig.Patience)
	wantEnd(t, ch, "signal: hangup")
	if left := ch.tree.find(); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

// A terminal takes no thread of the server.
func TestTerminalThreads(t *testing.T) {
	k := newKeeper(t)
	threads := func() int {
		entries, _ := os.ReadDir("/proc/self/task")
		return len(entries)
	}
	atTerminal(t, k, "sleep 1000")
	before := threads()
	for range 30 {
		atTerminal(t, k, "sleep 1000")
	}
	if after := threads(); after > before+8 {
		t.Errorf("%d threads before and %d after opening 30 terminals", before, after)
	}
}
