package runtime

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/volume"
)

func TestProcessEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the server")
	t.Setenv("PASSED", "on")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	l := newLocal(t)
	l.PassEnv = []string{"PASSED"}
	dir, data := tree(t, map[string]string{"node_modules/.bin/x": "", ".paas/bin/y": ""}), t.TempDir()
	spec := Spec{
		Tree: dir, Data: data, Type: "web",
		Built:  volume.Built{Kind: "node", Env: map[string]string{"PATH": "/front", "FROM_BUILD": "1", "SHARED": "build"}},
		Config: map[string]string{"SHARED": "config", "PORT": "1", "DATA_DIR": "/x", marker: "x", "LANG": "tlh"},
	}
	got := printed(t, l, spec, "env")
	wantIn(t, "env", "\n"+got, "\nPASSED=on\n", "\nHTTPS_PROXY=http://proxy\n", "\nPAAS_APP=blog\n", "\nPAAS_RELEASE=v7\n",
		"\nDATA_DIR="+data+"\n", "\nHOME="+data+"\n", "\nNODE_ENV=production\n", "\nPYTHONUNBUFFERED=1\n", "\nPORT=",
		"\nFROM_BUILD=1\n", "\nSHARED=config\n", "\nLANG=tlh\n", "\nPAAS_RUN="+l.lifeMark()+"blog.v7.web.1.",
		"\nPATH=/front:"+dir+"/.paas/bin:"+dir+"/node_modules/.bin:"+os.Getenv("PATH")+"\n")
	if strings.Contains(got, "\nPORT=1\n") {
		t.Error("config vars set the port")
	}
	if strings.Contains(got, "SECRET") || strings.Contains(got, "of the server") {
		t.Errorf("the server's secret is in:\n%s", got)
	}
	got = printed(t, l, Spec{Config: map[string]string{"NODE_ENV": "x", "PORT": "1"}, Built: volume.Built{Kind: "node"}}, "env")
	wantIn(t, "env", got, "NODE_ENV=x\n")
	if strings.Contains(got, "\nPORT=") {
		t.Error("a worker has a port")
	}
}

// What runs is what the line names, with no shell above it.
func TestNoShellStays(t *testing.T) {
	l := newLocal(t)
	for _, line := range []string{"sleep 1000", `sleep "1000"`, "sleep $LONG"} {
		p := begin(t, l, Spec{Config: map[string]string{"LONG": "1000"}}, line)
		eventually(t, line+" is sleep itself", func() bool {
			name, _ := os.ReadFile(procPath(p.PID(), "comm"))
			return string(name) == "sleep\n"
		})
		if n := len(p.(process).kin.find()); n != 1 {
			t.Errorf("%s: %d processes", line, n)
		}
		p.Stop(time.Minute)
		if message(p.Err()) != "signal: terminated" {
			t.Error(p.Err())
		}
	}
}

func TestProcessEnds(t *testing.T) {
	l := newLocal(t)
	for line, want := range map[string]string{
		"true":          "<nil>",
		"exit 3":        "exit status 3",
		"kill -KILL $$": "signal: killed",
	} {
		p := begin(t, l, Spec{}, line)
		<-p.Done()
		if message(p.Err()) != want {
			t.Errorf("%s: %v", line, p.Err())
		}
		p.Stop(time.Hour)
	}
	for line, want := range map[string]string{
		"no-such-program x": "worker: no-such-program: not found in PATH",
		"./missing":         "no such file or directory",
	} {
		_, err := l.Start(Spec{App: "blog", Type: "worker", Tree: t.TempDir(), Built: volume.Built{Processes: map[string]string{"worker": line}}})
		wantIn(t, line, message(err), want)
	}
	if _, err := l.Start(Spec{App: "blog", Type: "web"}); message(err) != "web: no such process type" {
		t.Error(err)
	}
	if len(l.ports) != 0 {
		t.Errorf("ports kept: %v", l.ports)
	}
}

// Standard input is empty; output of both streams comes in order, to its end.
func TestProcessOutput(t *testing.T) {
	l := newLocal(t)
	if got := printed(t, l, Spec{}, "cat; echo one; echo two >&2; echo three"); got != "one\ntwo\nthree\n" {
		t.Errorf("%q", got)
	}
	big := printed(t, l, Spec{}, "head -c 3000000 /dev/zero")
	if len(big) != 3000000 {
		t.Errorf("%d bytes", len(big))
	}
}

func TestStopGraceful(t *testing.T) {
	l := newLocal(t)
	out := &screen{}
	p := begin(t, l, Spec{Out: out}, `trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	p.Stop(time.Minute)
	if p.Err() != nil || !strings.HasSuffix(out.String(), "got TERM\n") {
		t.Errorf("%v, %q", p.Err(), out.String())
	}
}

func TestStopForced(t *testing.T) {
	l := newLocal(t)
	out := &screen{}
	p := begin(t, l, Spec{Out: out}, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	began := time.Now()
	var all sync.WaitGroup
	for _, grace := range []time.Duration{time.Hour, 50 * time.Millisecond, time.Minute} { // the shortest counts
		all.Go(func() { p.Stop(grace) })
	}
	all.Wait()
	if took := time.Since(began); message(p.Err()) != "signal: killed" || took < 50*time.Millisecond || took > 10*time.Second {
		t.Errorf("%v after %s", p.Err(), took)
	}
}

// A shell that goes at the first signal does not take the grace from the server it started.
func TestStopGivesTheRestItsGrace(t *testing.T) {
	l := newLocal(t)
	out := &screen{}
	p := begin(t, l, Spec{Out: out}, `sh -c 'trap "sleep 0.2; echo finished; exit" TERM; echo up; while :; do sleep 0.01; done' & trap 'exit 0' TERM; wait`)
	eventually(t, "it is up", func() bool { return out.String() == "up\n" })
	p.Stop(time.Minute)
	if !strings.HasSuffix(out.String(), "finished\n") {
		t.Errorf("%q", out.String())
	}
}

// What has left session and parent, and holds the output, goes with the process all the same.
func TestStopFindsOrphans(t *testing.T) {
	l := newLocal(t)
	for _, end := range []struct{ line, want string }{
		{escapes + "trap '' TERM; while :; do sleep 0.01; done", "signal: killed"},
		{escapes + "while [ $(wc -l < $DATA_DIR/out) -lt 3 ]; do sleep 0.01; done; exit 4", "exit status 4"},
	} {
		data := t.TempDir()
		file, err := os.Create(filepath.Join(data, "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		p := begin(t, l, Spec{Data: data, Out: file}, end.line)
		if end.want == "signal: killed" {
			eventually(t, "three escaped", func() bool {
				text, _ := os.ReadFile(file.Name())
				return strings.Count(string(text), "gone") == 3
			})
			p.Stop(20 * time.Millisecond)
		}
		<-p.Done()
		if left := p.(process).kin.find(); len(left) > 0 || message(p.Err()) != end.want {
			t.Errorf("%s: %v, left %v", end.line, p.Err(), left)
		}
	}
}

// The process's own environment may be gone, as setproctitle makes it: the session still tells.
func TestKinWithoutMarker(t *testing.T) {
	l := newLocal(t)
	out := &screen{}
	p := begin(t, l, Spec{Out: out}, `env -i sh -c 'echo up; sleep 1000' & env -i setsid sh -c 'echo up; sleep 1000' & wait`)
	eventually(t, "both are up", func() bool { return out.String() == "up\nup\n" })
	var family []relative
	eventually(t, "the shell, two more and two sleeps are found", func() bool {
		family = p.(process).kin.find()
		return len(family) == 5
	})
	p.Stop(time.Minute)
	for _, one := range family {
		if !gone(one.pid) {
			t.Errorf("left %v", one)
		}
	}
}

func TestPorts(t *testing.T) {
	l := newLocal(t)
	seen := map[string]bool{}
	var all []Process
	for range 20 {
		p := begin(t, l, Spec{Type: "web"}, "sleep 1000")
		_, text, _ := net.SplitHostPort(p.Addr())
		if port, _ := strconv.Atoi(text); port < firstPort || port > lastPort || seen[text] {
			t.Errorf("port %s", text)
		}
		seen[text] = true
		all = append(all, p)
	}
	for _, p := range all {
		p.Stop(0)
	}
	if len(l.ports) != 0 {
		t.Errorf("still taken: %v", l.ports)
	}

	// All but two are taken, and on one of those somebody else listens.
	for port := firstPort; port <= lastPort; port++ {
		l.ports[port] = true
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if portIsFree(other.Addr().(*net.TCPAddr).Port) {
		t.Error("a port that somebody listens on is free")
	}
	if _, err := l.takePort(); err == nil {
		t.Error("a port where there is none")
	}
	l.freePort(firstPort + 7)
	if port, err := l.takePort(); err == nil && port != firstPort+7 {
		t.Errorf("%d, %v", port, err)
	}
}

// Nothing that runs costs the server a thread.
func TestThreads(t *testing.T) {
	l := newLocal(t)
	threads := func() int {
		entries, _ := os.ReadDir("/proc/self/task")
		return len(entries)
	}
	begin(t, l, Spec{}, "sleep 1000")
	before := threads()
	for range 50 {
		begin(t, l, Spec{}, "sleep 1000")
	}
	if after := threads(); after > before+10 {
		t.Errorf("%d threads, with 50 processes more %d", before, after)
	}
}

func TestStartAfterClose(t *testing.T) {
	l := &Local{Root: t.TempDir(), Self: self()}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	p := begin(t, l, Spec{}, "sleep 1000")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-p.Done()
	_, err := l.Start(Spec{App: "blog", Type: "worker", Tree: t.TempDir(), Built: volume.Built{Processes: map[string]string{"worker": "true"}}})
	wantIn(t, "start", fmt.Sprint(err), errClosed.Error())
}
