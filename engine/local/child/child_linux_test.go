package child

import (
	"fmt"
	"io"
	"os"
	"paas/rig"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestProcessOutput(t *testing.T) {
	k := newKeeper(t)
	if got := printed(t, k, "cat; echo one; echo two >&2; echo three",
		nil); got != "one\ntwo\nthree\n" {
		t.Errorf("printed %q", got)
	}
	big := printed(t, k, "head -c 3000000 /dev/zero", nil)
	if len(big) != 3000000 {
		t.Errorf("read %d bytes", len(big))
	}
}

func TestStopGraceful(t *testing.T) {
	k := newKeeper(t)
	out := &rig.Screen{}
	p := begin(t, k, `trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.01; done`,
		nil, out)
	rig.Eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	p.Stop(time.Minute)
	wantEnd(t, p, "<nil>")
	if !strings.HasSuffix(out.String(), "got TERM\n") {
		t.Errorf("printed %q", out)
	}
}

func TestStopForced(t *testing.T) {
	k := newKeeper(t)
	out := &rig.Screen{}
	p := begin(t, k, `trap '' TERM; echo up; while :; do sleep 0.01; done`, nil, out)
	rig.Eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	began := time.Now()
	var all sync.WaitGroup
	// the shortest grace counts
	for _, grace := range []time.Duration{time.Hour, 50 * time.Millisecond, time.Minute} {
		all.Go(func() { p.Stop(grace) })
	}
	all.Wait()
	wantEnd(t, p, "signal: killed")
	if took := time.Since(began); took < 50*time.Millisecond || took > 30*time.Second {
		t.Errorf("stopped after %s", took)
	}
}

func TestStopGraceForDescendants(t *testing.T) {
	k := newKeeper(t)
	out := &rig.Screen{}
	p := begin(t, k,
		`sh -c 'trap "sleep 0.2; echo finished; exit" TERM; echo up; while :; do sleep 0.01; done' & trap 'exit 0' TERM; wait`, nil, out)
	rig.Eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	p.Stop(time.Minute)
	if !strings.HasSuffix(out.String(), "finished\n") {
		t.Errorf("printed %q", out.String())
	}
}

func TestStopFindsOrphans(t *testing.T) {
	k := newKeeper(t)
	for _, end := range []struct{ line, want string }{
		{escapes + "trap '' TERM; while :; do sleep 0.01; done", "signal: killed"},
		{
			escapes + "while [ $(wc -k < $DATA_DIR/out) -lt 3 ]; do sleep 0.01; done; exit 4",
			"exit status 4",
		},
	} {
		data := t.TempDir()
		file, err := os.Create(filepath.Join(data, "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		p := begin(t, k, end.line, map[string]string{"DATA_DIR": data}, file)
		if end.want == "signal: killed" {
			rig.Eventually(t, "three escaped", func() bool {
				text, _ := os.ReadFile(file.Name())
				return strings.Count(string(text), "gone") == 3
			})
			p.Stop(20 * time.Millisecond)
		}
		<-p.Done()
		if left := p.tree.find(); len(left) > 0 {
			t.Errorf("%s: processes left: %v", end.line, left)
		}
		wantEnd(t, p, end.want)
	}
}

// A process has no environment, and so no Marker, while it executes a program. One that has also
// left its session and lost its parent is found all the same.
func TestStopFindsExecuting(t *testing.T) {
	k := newKeeper(t)
	dir := rig.Tree(t, map[string]string{"bin/again": "#!/bin/sh\nexec \"$0\"\n"})
	for n := range 100 {
		file := filepath.Join(dir, fmt.Sprint(n))
		line := `setsid sh -c 'echo $$ > $0; exec bin/again' ` + file + ` & until [ -s ` + file + ` ]; do :; done`
		c := toRun(line, nil, io.Discard)
		c.Dir = dir
		p, err := k.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
		if left, ok := readStat(pid); ok && left.state != 'Z' {
			t.Fatalf("command %d left %v", n, left)
		}
	}
}

func TestTreeWithoutMarker(t *testing.T) {
	k := newKeeper(t)
	out := &rig.Screen{}
	p := begin(t, k,
		`env -i sh -c 'echo up; sleep 1000' & env -i setsid sh -c 'echo up; sleep 1000' & wait`,
		nil, out)
	rig.Eventually(t, "both are up", func() bool { return out.String() == "up\nup\n" })
	var processes []process
	rig.Eventually(t, "the shell, two more and two sleeps are found", func() bool {
		processes = p.tree.find()
		return len(processes) == 5
	})
	p.Stop(time.Minute)
	for _, one := range processes {
		if !gone(one.pid) {
			t.Errorf("process left: %v", one)
		}
	}
}

func TestThreads(t *testing.T) {
	k := newKeeper(t)
	threads := func() int {
		entries, _ := os.ReadDir("/proc/self/task")
		return len(entries)
	}
	begin(t, k, "sleep 1000", nil, io.Discard)
	before := threads()
	for range 50 {
		begin(t, k, "sleep 1000", nil, io.Discard)
	}
	if after := threads(); after > before+10 {
		t.Errorf("%d threads before and %d after starting 50 processes", before, after)
	}
}

func TestStartAfterClose(t *testing.T) {
	k := &Keeper{Root: t.TempDir(), Self: rig.Self()}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	p := begin(t, k, "sleep 1000", nil, io.Discard)
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	<-p.Done()
	_, err := k.Start(toRun("true", nil, io.Discard))
	rig.WantIn(t, "start", fmt.Sprint(err), errClosed.Error())
}
