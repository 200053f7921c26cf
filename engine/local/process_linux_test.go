package local

import (
	"fmt"
	"net"
	"os"
	"paas/engine/local/child"
	"paas/rig"
	"paas/runtime"
	"paas/volume"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the server")
	t.Setenv("PASSED", "on")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	l := newLocal(t)
	l.PassEnv = []string{"PASSED"}
	dir, data := rig.Tree(t, map[string]string{"node_modules/.bin/x": "", ".paas/bin/y": ""}), t.TempDir()
	spec := runtime.Spec{
		Tree: dir, Data: data, Type: "web",
		Built:  volume.Built{Kind: "node", Env: map[string]string{"PATH": "/front", "FROM_BUILD": "1", "SHARED": "build"}},
		Config: map[string]string{"SHARED": "config", "PORT": "1", "DATA_DIR": "/x", child.Marker: "x", "LANG": "tlh"},
	}
	got := printed(t, l, spec, "env")
	rig.WantIn(t, "env", "\n"+got, "\nPASSED=on\n", "\nHTTPS_PROXY=http://proxy\n", "\nPAAS_APP=blog\n", "\nPAAS_RELEASE=v7\n",
		"\nDATA_DIR="+data+"\n", "\nHOME="+data+"\n", "\nNODE_ENV=production\n", "\nPYTHONUNBUFFERED=1\n", "\nPORT=",
		"\nFROM_BUILD=1\n", "\nSHARED=config\n", "\nLANG=tlh\n", "\nPAAS_RUN=", "/blog.v7.web.1.",
		"\nPATH=/front:"+dir+"/.paas/bin:"+dir+"/node_modules/.bin:"+os.Getenv("PATH")+"\n")
	if strings.Contains(got, "\nPORT=1\n") {
		t.Error("config vars set the port")
	}
	if strings.Contains(got, "SECRET") || strings.Contains(got, "of the server") {
		t.Errorf("the server's secret is in:\n%s", got)
	}
	got = printed(t, l, runtime.Spec{Config: map[string]string{"NODE_ENV": "x", "PORT": "1"}, Built: volume.Built{Kind: "node"}}, "env")
	rig.WantIn(t, "env", got, "NODE_ENV=x\n")
	if strings.Contains(got, "\nPORT=") {
		t.Error("a worker has a port")
	}
}

// What runs is what the line names, with no shell above it.
func TestNoShellStays(t *testing.T) {
	l := newLocal(t)
	for _, line := range []string{"sleep 1000", `sleep "1000"`, "sleep $LONG"} {
		p := begin(t, l, runtime.Spec{Config: map[string]string{"LONG": "1000"}}, line)
		rig.Eventually(t, line+" is sleep itself", func() bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
			return string(name) == "sleep\n"
		})
		if children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID(), p.PID())); len(children) > 0 {
			t.Errorf("%s: has children %s", line, children)
		}
		p.Stop(time.Minute)
		if rig.Message(p.Err()) != "signal: terminated" {
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
		p := begin(t, l, runtime.Spec{}, line)
		<-p.Done()
		if rig.Message(p.Err()) != want {
			t.Errorf("%s: %v", line, p.Err())
		}
		p.Stop(time.Hour)
	}
	for line, want := range map[string]string{
		"no-such-program x": "worker: no-such-program: not found in PATH",
		"./missing":         "no such file or directory",
	} {
		_, err := l.Start(runtime.Spec{App: "blog", Type: "worker", Tree: t.TempDir(), Built: volume.Built{Processes: map[string]string{"worker": line}}})
		rig.WantIn(t, line, rig.Message(err), want)
	}
	if _, err := l.Start(runtime.Spec{App: "blog", Type: "web"}); rig.Message(err) != "web: no such process type" {
		t.Error(err)
	}
	if len(l.ports) != 0 {
		t.Errorf("ports kept: %v", l.ports)
	}
}

// Standard input is empty; output of both streams comes in order, to its end.
// A shell that goes at the first signal does not take the grace from the server it started.
// What has left session and parent, and holds the output, goes with the process all the same.
// The process's own environment may be gone, as setproctitle makes it: the session still tells.
func TestPorts(t *testing.T) {
	l := newLocal(t)
	seen := map[string]bool{}
	var all []runtime.Process
	for range 20 {
		p := begin(t, l, runtime.Spec{Type: "web"}, "sleep 1000")
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

// Nothing that runs costs the server a thread.
