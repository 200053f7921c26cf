package confine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// boxed returns a launcher and a box for its sandboxes.
func boxed(t *testing.T) (*Launcher, *Box) {
	t.Helper()
	isolation := Probe(t.TempDir(), rig.Self()...)
	if !isolation.Sandboxes {
		t.Skipf("SKIP: no sandboxes: %s", isolation)
	}
	l := &Launcher{Self: rig.Self()}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	_, b := place(t, isolation)
	return l, b
}

// run starts a command in a sandbox. Its output goes to the file out in its folder.
func run(t *testing.T, b *Box, s *Sandbox, argv ...string) (*exec.Cmd, error) {
	t.Helper()
	b.In(s)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = b.Write[1]
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	out, err := os.OpenFile(b.Write[1]+"/out", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, b.Start(cmd, func(int) error { return nil })
}

func sandbox(t *testing.T, l *Launcher, name string) *Sandbox {
	t.Helper()
	s, err := l.Sandbox(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// marked returns the processes with the mark in their environment.
func marked(mark string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if environ, _ := os.ReadFile(path); strings.Contains(string(environ), mark) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// A command in a sandbox is an ordinary child of the server: it has a status and gets signals.
func TestSandboxChild(t *testing.T) {
	l, b := boxed(t)
	s := sandbox(t, l, "blog")
	defer s.Leave()
	for script, want := range map[string]string{
		"exit 3": "exit status 3", "true": "<nil>", "kill -KILL $$": "signal: killed",
		"kill -SEGV $$":                          "signal: segmentation fault",
		"sleep 1000 & kill $!; wait $!; exit $?": "exit status 143",
	} {
		cmd, err := run(t, b, s, "/bin/sh", "-c", script)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); !strings.HasPrefix(rig.Message(err), want) {
			t.Errorf("%s: err = %v", script, err)
		}
	}
	cmd, err := run(t, b, s, "/bin/sh", "-c",
		"trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done")
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "it is up", func() bool {
		out, _ := os.ReadFile(b.Write[1] + "/out")
		return string(out) == "up\n"
	})
	unix.Kill(-cmd.Process.Pid, unix.SIGTERM) // it leads its group
	if err := cmd.Wait(); rig.Message(err) != "exit status 5" {
		t.Error(err)
	}
}

// A sandbox can be entered as soon as it has been made, on a busy machine too.
func TestSandboxIsReady(t *testing.T) {
	l, b := boxed(t)
	var makers sync.WaitGroup
	for maker := range 8 {
		makers.Go(func() {
			for n := range 40 {
				s, err := l.Sandbox(fmt.Sprint(maker, "-", n))
				if err != nil {
					t.Error(err)
					return
				}
				box, cmd := *b, exec.Command("/bin/true")
				box.In(s)
				cmd.SysProcAttr = &syscall.SysProcAttr{}
				if err := box.Start(cmd, func(int) error { return nil }); err != nil {
					t.Error(err)
				} else {
					cmd.Wait()
				}
				s.Leave()
			}
		})
	}
	makers.Wait()
}

// If tracing is forbidden, commands start nevertheless and are confined soon after.
func TestSandboxUntraced(t *testing.T) {
	l, b := boxed(t)
	ptraceScope = filepath.Join(t.TempDir(), "scope")
	defer func() { ptraceScope = "/proc/sys/kernel/yama/ptrace_scope" }()
	if err := os.WriteFile(ptraceScope, []byte("3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := sandbox(t, l, "blog")
	defer s.Leave()
	b.In(s)
	cmd := exec.Command("/bin/sh", "-c", "read line; exit 3")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	taken := 0
	if err := b.Start(cmd, func(pid int) error { taken = pid; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); rig.Message(err) != "exit status 3" || taken != cmd.Process.Pid {
		t.Errorf("err = %v, take called with %d", err, taken)
	}
}

// A command that cannot be executed leaves no zombie.
func TestSandboxExecFails(t *testing.T) {
	l, b := boxed(t)
	s := sandbox(t, l, "blog")
	defer s.Leave()
	script := b.Write[1] + "/script"
	if err := os.WriteFile(script, []byte("#!/nonexistent/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := run(t, b, s, script); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WNOTHREAD, nil); pid > 0 {
		t.Errorf("child %d is left: %v", pid, err)
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[0] == "Z" &&
			fields[1] == strconv.Itoa(os.Getpid()) {
			t.Errorf("a zombie is left: %s", stat)
		}
	}
}

// Processes of one app see each other but none of another app. The last Leave kills what is left in
// the sandbox, even in another session.
func TestSandboxEnds(t *testing.T) {
	l, b := boxed(t)
	s, again, other := sandbox(t, l, "blog"), sandbox(t, l, "blog"), sandbox(t, l, "shop")
	defer other.Leave()
	mark := "MARK=" + strconv.Itoa(os.Getpid())
	cmd, err := run(t, b, s, "/bin/sh", "-c",
		"export "+mark+"; for i in 1 2 3; do setsid sleep 86399 & done; echo $$; wait")
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "all run", func() bool { return len(marked(mark)) >= 3 })
	out, _ := os.ReadFile(b.Write[1] + "/out")
	inner := strings.TrimSpace(string(out))
	for in, want := range map[*Sandbox]string{again: "0", other: "1"} {
		look, err := run(t, b, in, "/bin/sh", "-c",
			"kill -0 "+inner+" && grep -q 'slee[p] 86399' /proc/"+inner+"/cmdline && exit 0; exit 1")
		if err != nil {
			t.Fatal(err)
		}
		look.Wait()
		if got := strconv.Itoa(look.ProcessState.ExitCode()); got != want {
			t.Errorf("exit status %s, want %s", got, want)
		}
	}
	s.Leave()
	if len(marked(mark)) == 0 {
		t.Error("killed before the last Leave")
	}
	again.Leave()
	rig.Eventually(t, "all are gone", func() bool { return len(marked(mark)) == 0 })
	cmd.Wait()
}

// If the helper is killed, running commands go on, and the next one gets a new helper.
func TestSandboxHelperKilled(t *testing.T) {
	l, b := boxed(t)
	s := sandbox(t, l, "blog")
	cmd, err := run(t, b, s, "/bin/sh", "-c", "read never; exit 7")
	if err == nil {
		err = cmd.Wait() // its input is empty
	}
	if rig.Message(err) != "exit status 7" {
		t.Fatal(err)
	}
	long, err := run(t, b, s, "/bin/sleep", "86398")
	if err != nil {
		t.Fatal(err)
	}
	l.helper.cmd.Process.Kill()
	<-l.helper.ended
	if _, err := run(t, b, s, "/bin/true"); err == nil {
		t.Error("a sandbox of the killed helper still starts commands")
	}
	next := sandbox(t, l, "blog")
	defer next.Leave()
	cmd, err = run(t, b, next, "/bin/sh", "-c", "exit 4")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); rig.Message(err) != "exit status 4" {
		t.Error(err)
	}
	if err := unix.Kill(long.Process.Pid, 0); err != nil {
		t.Errorf("a running command was killed: %v", err)
	}
	s.Leave()
	if err := long.Wait(); rig.Message(err) != "signal: killed" {
		t.Error(err)
	}
}

// If user namespaces are forbidden, Isolation says so, and what would allow them.
func TestRefused(t *testing.T) {
	rig.Need(t, "unshare")
	refusing := []string{
		"unshare", "-U", "-r", "sh", "-c",
		`echo 0 >/proc/sys/user/max_user_namespaces; TEST_REFUSED=1 exec "$0" "$@"`,
	}
	rig.AsUser(t, rig.Nobody, refusing, "^TestProbeRefused$")
}

func TestProbeRefused(t *testing.T) {
	if os.Getenv("TEST_REFUSED") == "" {
		t.Skip("SKIP: TestRefused runs it")
	}
	isolation := Probe(t.TempDir(), rig.Self()...)
	if isolation.Sandboxes || isolation.Users {
		t.Errorf("Probe found %s", isolation)
	}
	rig.WantIn(t, "isolation", isolation.String(), "no user namespaces: ",
		"(sysctl user.max_user_namespaces=10000 allows them)")
	rig.WantIn(t, "open", strings.Join(isolation.Open(), ", "),
		"Unix sockets of the server's user, mode and times of files of the server's user")
	_, b := place(t, isolation)
	if out := inside(t, b, "echo x >new && cat new"); out != "x\n" {
		t.Errorf("the remaining confinement does not work: %s", out)
	}
}

// A folder that all apps may write to is the machine's own; a device in it works.
func TestSandboxWrites(t *testing.T) {
	l, b := boxed(t)
	s := sandbox(t, l, "blog")
	defer s.Leave()
	shared := t.TempDir()
	b.Write = append(b.Write, shared, "/dev/zero")
	cmd, err := run(t, b, s, "/bin/sh", "-c",
		"echo x >"+shared+"/x && head -c 3 /dev/zero | wc -c && echo >/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	out, _ := os.ReadFile(b.Write[1] + "/out")
	if written, _ := os.ReadFile(shared + "/x"); err != nil || string(written) != "x\n" ||
		strings.TrimSpace(string(out)) != "3" {
		t.Errorf("err = %v, printed %s, wrote %q", err, out, written)
	}
}

// Apps can connect to a socket in a folder that the settings list.
func TestSandboxReadsSocket(t *testing.T) {
	l, b := boxed(t)
	s := sandbox(t, l, "blog")
	defer s.Leave()
	dir := t.TempDir()
	listener, err := net.Listen("unix", dir+"/database.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	self, _ := os.Executable()
	attack := []string{
		self, "attack", strconv.Itoa(os.Getpid()), dir + "/database.sock", "none", dir, "true",
	}
	for _, named := range []bool{false, true} {
		b.Hide = append(b.Hide, dir)
		if named {
			b.Read = append(b.Read, dir)
		}
		cmd, err := run(t, b, s, attack...)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		out, _ := os.ReadFile(b.Write[1] + "/out")
		if strings.Contains(string(out), "connect\n") != named ||
			!strings.HasSuffix(string(out), "tried\n") {
			t.Errorf("folder listed: %v; printed %s", named, out)
		}
	}
}
