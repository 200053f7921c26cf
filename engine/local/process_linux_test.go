package local

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
)

// The command runs directly, with no shell as its parent.
func TestNoShellStays(t *testing.T) {
	l := newLocal(t)
	for _, line := range []string{"sleep 1000", `sleep "1000"`, "sleep $LONG"} {
		p := begin(t, l, spec{config: map[string]string{"LONG": "1000"}}, line)
		rig.Eventually(t, line+" is sleep itself", func() bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
			return string(name) == "sleep\n"
		})
		if children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID(), p.PID())); len(children) > 0 {
			t.Errorf("%s: has children %s", line, children)
		}
		p.Stop(time.Minute)
		if rig.Message(p.Exit().Err()) != "signal: terminated" {
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
		p := begin(t, l, spec{}, line)
		<-p.Done()
		if rig.Message(p.Exit().Err()) != want {
			t.Errorf("%s: %v", line, p.Err())
		}
		p.Stop(time.Hour)
	}
	tree := rig.Tree(t, map[string]string{"data": ""})
	for line, want := range map[string]engine.StartError{
		"no-such-program x": {Status: 127, Reason: "worker: no-such-program: not found in PATH"},
		"./data":            {Status: 126, Reason: "worker: ./data: not an executable file"},
	} {
		_, err := l.start(spec{tree: tree}.order(t, line))
		if err != error(want) {
			t.Errorf("%s: %#v", line, err)
		}
	}
	if len(l.ports) != 0 {
		t.Errorf("ports kept: %v", l.ports)
	}
}

// Each web process gets its own port, which is free again when the process has ended.
func TestPorts(t *testing.T) {
	l := newLocal(t)
	seen := map[string]bool{}
	var all []*process
	for range 20 {
		p := begin(t, l, spec{web: true}, "sleep 1000")
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

	// All ports but two are reserved, and another program listens on one of the two.
	for port := firstPort; port <= lastPort; port++ {
		l.reserve(port, "shop")
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if tryPort(other.Addr().(*net.TCPAddr).Port) == nil {
		t.Error("a port that somebody listens on is free")
	}
	_, err = l.takePort("blog", tryPort)
	if want := "no free port between 20000 and 31999: processes of apps were given 12000"; !strings.HasPrefix(rig.Message(err), want) {
		t.Errorf("%v, want %s", err, want)
	}
	l.freePort(l.ports[firstPort+7])
	if c, err := l.takePort("blog", tryPort); err == nil && c.port != firstPort+7 {
		t.Errorf("%d, %v", c.port, err)
	}
	l.freePort(l.ports[firstPort+7])
	if _, err := l.takePort("blog", func(int) error { return syscall.EMFILE }); rig.Message(err) != "no port: too many open files" {
		t.Error(err)
	}
}

// A running process costs the server no thread.
