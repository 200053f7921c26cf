package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paas/nice"
	"paas/rig"
)

// niced is a confinement that needs no rights: a lower priority.
type niced struct{ err error }

func (n niced) Enter(*syscall.SysProcAttr) error {
	if n.err != nil {
		return n.err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 7)
}

// A confined command has its own thread in the server, which ends with the command and is not
// reused.
func TestConfined(t *testing.T) {
	k := newKeeper(t)
	threads := func() int {
		entries, _ := os.ReadDir("/proc/self/task")
		return len(entries)
	}
	before := threads()
	out := &rig.Screen{}
	var all []*Child
	for range 20 {
		c := toRun("nice; exec sleep 1000", nil, out)
		c.Under = []Confinement{niced{}}
		p, err := k.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop(0)
		all = append(all, p)
	}
	rig.Eventually(t, "all are nice",
		func() bool { return strings.Count(out.String(), "\n") == len(all) })
	plain := &rig.Screen{}
	<-begin(t, k, "nice", nil, plain).Done()
	if plain.String() != fmt.Sprintln(nice.Own()) {
		t.Errorf("a command without confinement is nice too: %s", plain.String())
	}
	for _, p := range all {
		p.Stop(0)
	}
	rig.Eventually(t, "their threads are gone", func() bool { return threads() <= before+5 })
}

func TestConfinementFails(t *testing.T) {
	k := newKeeper(t)
	c := toRun("true", nil, io.Discard)
	c.Under = []Confinement{niced{errors.New("no walls left")}}
	if _, err := k.Start(c); rig.Message(err) != "true: no walls left" &&
		rig.Message(err) != "/bin/sh: no walls left" {
		t.Errorf("%v", err)
	}
}

// A closed keeper starts no confined command either.
func TestConfinedStartAfterClose(t *testing.T) {
	k := &Keeper{Root: t.TempDir(), Self: rig.Self()}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	c := toRun("true", nil, io.Discard)
	c.Under = []Confinement{niced{}}
	if _, err := k.Start(c); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}

// fleeting is a confinement whose thread must end before the command begins.
type fleeting struct{ niced }

func (fleeting) MayStay() bool { return false }

// awaitNiceThreads waits until the threads of earlier commands are gone: a command's end does not
// wait for its thread.
func awaitNiceThreads(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "no thread is nice", func() bool {
		stats, _ := filepath.Glob("/proc/self/task/*/stat")
		return !slices.ContainsFunc(stats, func(path string) bool {
			stat, _ := os.ReadFile(path) // one that is gone by now has none
			_, fields, _ := strings.Cut(string(stat), ") ")
			numbers := strings.Fields(fields) // proc_pid_stat(5) from the third field on
			return len(numbers) > 16 && numbers[16] == "7"
		})
	})
}

// A command that could reach its thread finds it gone. Its end and its signals are as usual.
func TestThreadEndsFirst(t *testing.T) {
	k := newKeeper(t)
	const niceThreads = `for s in /proc/$PPID/task/*/stat; do cut -d' ' -f19 $s 2>/dev/null; done | grep -c '^7$'; nice; exit 3`
	for under, gone := range map[Confinement]bool{fleeting{}: true, niced{}: false} {
		for range 20 {
			awaitNiceThreads(t)
			out := &rig.Screen{}
			c := toRun(niceThreads, nil, out)
			c.Under = []Confinement{under}
			p, err := k.Start(c)
			if err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			threads, nice, _ := strings.Cut(out.String(), "\n")
			if (threads == "0") != gone {
				t.Errorf("%T: the command found %s nice threads", under, threads)
			}
			if nice != "7\n" {
				t.Errorf("%T: the command's own niceness is %q", under, nice)
			}
			if got := rig.Message(p.Err()); got != "exit status 3" {
				t.Errorf("%T: err = %s", under, got)
			}
		}
	}
	c := toRun("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done", nil,
		&rig.Screen{})
	out := c.Out.(*rig.Screen)
	c.Under = []Confinement{fleeting{}}
	p, err := k.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	p.Stop(15 * time.Second)
	if !strings.HasSuffix(out.String(), "bye\n") { // a shell may say that its sleep was ended too
		t.Errorf("printed %q", out.String())
	}
	c.Argv = []string{"/nonexistent/program"}
	if _, err := k.Start(c); err == nil {
		t.Error("Start accepted a program that does not exist")
	}
}
