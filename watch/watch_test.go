package watch

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/rig"
)

func TestWatch(t *testing.T) {
	for _, poll := range []bool{false, true} {
		r := startWatch(t, Watch{Delay: 50 * time.Millisecond, Grace: time.Minute, Poll: poll},
			"plain").run()
		if told := r.awaitStarts(1); told != "" {
			t.Errorf("reported %q before anything changed", told)
		}
		r.awaitMessage("-----> watching 1 folder in " + r.dir)
		r.put("a.js", "1")
		if told := r.awaitStarts(2); told != "a.js" {
			t.Errorf("reported %q", told)
		}
		r.awaitMessage("-----> a.js changed; restarting\n")
		r.put("x/y/b.js", "1")
		if told := r.awaitStarts(3); told != "x/y/b.js" {
			t.Errorf("reported %q", told)
		}
		r.put("x/y/b.js", "12")
		r.awaitStarts(4)
		if status := r.end(syscall.SIGINT); status != 0 {
			t.Errorf("status %d", status)
		}
		pids, _ := r.starts()
		for _, pid := range pids {
			if !hasExited(pid) {
				t.Errorf("%d is left", pid)
			}
		}
		if out := read(r.out); strings.Count(out, "got-terminated") != 3 ||
			strings.Count(out, "got-interrupt") != 1 {
			t.Errorf("signals: %s", out)
		}
	}
}

// 2,000 files are replaced atomically, in more time than any delay, with git's lock or a marker:
// one restart. Without those, pauses must be short.
func TestWatchCommit(t *testing.T) {
	for name, beside := range map[string][2]string{
		"git":      {"app/.git/index.lock", ""},
		"worktree": {"worktree.json", `{"state":"updating","commit":"1"}`},
		"neither":  {},
	} {
		top := t.TempDir()
		write(t, top, map[string]string{"app/main.js": "", "app/.git/HEAD": ""})
		r := startWatch(t, Watch{Dir: filepath.Join(top, "app"), Delay: 2 * time.Second,
			Grace: time.Minute}, "plain").run()
		r.awaitStarts(1)
		path := filepath.Join(top, beside[0])
		if beside[0] != "" {
			write(t, top, map[string]string{beside[0]: beside[1]})
		}
		for i := range 400 { // much sooner than the maximum length of a burst
			r.put(fmt.Sprintf("d%d/%d.js.tmp", i%40, i), "x")
			old := filepath.Join(r.dir, fmt.Sprintf("d%d/%d.js", i%40, i))
			if err := os.Rename(old+".tmp", old); err != nil {
				t.Fatal(err)
			}
		}
		switch name {
		case "git":
			os.Remove(path)
		case "worktree":
			write(t, top,
				map[string]string{"worktree.json.new": `{"state":"settled","commit":"2"}`})
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		if told := r.awaitStarts(2); strings.Count(told, ",") != 99 {
			t.Errorf("%s: reported %d files", name, strings.Count(told, ",")+1)
		}
		r.awaitMessage("-----> 400 files changed (d0/0.js, d0/120.js, d0/160.js, ...); restarting")
		r.put("main.js", "1") // late changes would be reported with it
		if told := r.awaitStarts(3); told != "main.js" {
			t.Errorf("%s: then reported %q", name, told)
		}
	}
}

// A command that exits, or does not exist any more, waits for a change, whatever its status. The
// watcher's exit status is that of the last one.
func TestWatchCommandExits(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "program")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"status": "3"})
	r := startWatch(t, Watch{Dir: dir, Command: []string{"./program", "app", "exit=status"},
		Grace: time.Minute}).run()
	r.awaitMessage(" !     ./program exited with status 3; waiting for a change\n")
	r.put("status", "0")
	r.awaitMessage("-----> ./program exited; waiting for a change\n")
	if err := os.Remove(filepath.Join(dir, "program")); err != nil {
		t.Fatal(err)
	}
	r.awaitMessage(" !     ./program: no such file or directory; waiting for a change\n")
	write(t, dir, map[string]string{"status": "4"})
	if err := os.Symlink(self, filepath.Join(dir, "program")); err != nil {
		t.Fatal(err)
	}
	r.awaitMessage("exited with status 4")
	if status := r.end(syscall.SIGTERM); status != 4 {
		t.Errorf("status %d", status)
	}
}

func TestWatchStatus(t *testing.T) {
	for _, c := range []struct {
		command []string
		signals []syscall.Signal
		want    int
	}{
		{[]string{"no-such-program"}, nil, 127},
		{[]string{"./missing"}, nil, 127},
		{[]string{"./file"}, nil, 126},
		{[]string{"./script"}, nil, 127},
		{[]string{"sh", "-c", "echo up 1; exec sleep 1000"}, []syscall.Signal{syscall.SIGTERM},
			143},
		{[]string{"sh", "-c", "echo up 1; exec sleep 1000"}, []syscall.Signal{syscall.SIGINT}, 130},
		{[]string{"sh", "-c", "echo up 1; exec sleep 1000"}, []syscall.Signal{syscall.SIGHUP}, 129},
		{[]string{"sh", "-c", "trap 'exit 7' TERM; echo up 1; while :; do sleep 0.01; done"},
			[]syscall.Signal{syscall.SIGTERM}, 7},
		{[]string{"sh", "-c", "trap '' TERM INT; echo up 1; while :; do sleep 0.01; done"},
			[]syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, 137},
	} {
		r := startWatch(t, Watch{Command: c.command, Grace: time.Minute})
		r.put("file", "")
		r.put("script", "#!/no/such/program\n")
		os.Chmod(filepath.Join(r.dir, "script"), 0o755)
		r.run()
		if c.signals != nil {
			rig.Eventually(t, "it is up", func() bool { return strings.Contains(read(r.out), "up 1") })
		}
		if got := r.end(c.signals...); got != c.want {
			t.Errorf("%q: status %d, not %d: %s", c.command, got, c.want, read(r.messages))
		}
	}
}

// SIGQUIT is passed on to the command, which may print its stack. The watcher goes on, also if the
// command ends or has ended.
func TestWatchQuit(t *testing.T) {
	const command = `trap 'echo quit 1' QUIT; echo up $$ 1; while :; do sleep 0.01; done`
	r := startWatch(t, Watch{Command: []string{"sh", "-c", command}, Grace: time.Minute}).run()
	r.awaitStarts(1)
	r.cmd.Process.Signal(syscall.SIGQUIT)
	rig.Eventually(t, "the command got it",
		func() bool { return strings.Contains(read(r.out), "quit 1") })
	if status := r.end(syscall.SIGTERM); status != 143 {
		t.Errorf("status %d: %s", status, read(r.messages))
	}
	r = startWatch(t, Watch{Command: []string{"sh", "-c", "echo up $$ 1; exec sleep 1000"},
		Grace: time.Minute}).run()
	r.awaitStarts(1)
	r.cmd.Process.Signal(syscall.SIGQUIT)
	r.awaitMessage("was terminated by signal quit")
	r.cmd.Process.Signal(syscall.SIGQUIT)
	ends := 0
	rig.Eventually(t, "the command starts again", func() bool {
		all := strings.Count(read(r.messages), "was terminated by signal quit")
		if all > ends { // more than one: the last signal came late and ended the next command
			ends = all
			// a new file: a second change of the same one within a tick of its clock may look like none
			r.put(fmt.Sprint(ends, ".js"), "")
		}
		pids, _ := r.starts()
		return len(pids) >= 2
	})
}

// The next command starts when everything has ended: a child that ignores the signal, one whose
// parent has exited, one in a session of its own, and one that holds the port.
func TestWatchStopsTheGroup(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().String()
	ln.Close()
	for _, args := range [][]string{
		{"plain", "child=stubborn=1"},
		{"plain", "orphan"},
		{"plain", "setsid=stubborn=1"},
		{"plain", "daemon"},
		{"stubborn", "port=" + port},
	} {
		r := startWatch(t, Watch{Grace: 50 * time.Millisecond}, args...).run()
		each := 2
		if args[0] == "stubborn" {
			each = 1
		}
		r.awaitStarts(each)
		before, _ := r.starts()
		r.put("a.js", "1")
		rig.Eventually(t, "up again", func() bool {
			pids, _ := r.starts()
			return len(pids) > each
		})
		for _, pid := range before {
			if !hasExited(pid) {
				t.Errorf("%v: %d is left", args, pid)
			}
		}
		r.awaitStarts(2 * each)
		if args[0] == "plain" {
			r.end(syscall.SIGTERM)
			pids, _ := r.starts()
			for _, pid := range pids {
				if !hasExited(pid) {
					t.Errorf("%v: %d is left at the end", args, pid)
				}
			}
		}
	}
}

// A child in a session of its own may end by itself.
func TestWatchSignalsOtherSessions(t *testing.T) {
	r := startWatch(t, Watch{Grace: time.Minute}, "plain", "setsid=plain").run()
	r.awaitStarts(2)
	r.put("a.js", "1")
	r.awaitStarts(4)
	if got := strings.Count(read(r.out), "got-terminated"); got != 2 {
		t.Errorf("%d processes were asked to end, not 2", got)
	}
}

// Children of a leader that exits keep running until the next change, and end then.
func TestWatchLeaderExits(t *testing.T) {
	r := startWatch(t, Watch{Grace: time.Minute}, "child=plain", "exit=status")
	r.put("status", "5")
	r.run()
	r.awaitMessage("exited with status 5")
	r.awaitStarts(2)
	r.put("status", "")
	r.awaitStarts(4)
	if strings.Count(read(r.out), "got-terminated") != 1 {
		t.Error("the child was not signalled")
	}
}

// Changes while the command is being stopped belong to the same restart.
func TestWatchChangesWhileStopping(t *testing.T) {
	let := filepath.Join(t.TempDir(), "go")
	r := startWatch(t, Watch{Grace: time.Minute, Delay: 100 * time.Millisecond},
		"linger="+let).run()
	r.awaitStarts(1)
	r.put("a.js", "")
	rig.Eventually(t, "asked to end",
		func() bool { return strings.Contains(read(r.out), "got-terminated") })
	for i := range 10 {
		r.put(fmt.Sprint(i), "")
	}
	if err := os.WriteFile(let, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	// in the next start or, if the kernel reports them late, the one after
	for up := 2; len(told) < 11; up++ {
		for name := range strings.SplitSeq(r.awaitStarts(up), ",") {
			told[name] = true
		}
	}
	if all := strings.Join(slices.Sorted(maps.Keys(told)), ","); all != "0,1,2,3,4,5,6,7,8,9,a.js" {
		t.Errorf("reported %q", all)
	}
}

func TestWatchSignal(t *testing.T) {
	r := startWatch(t, Watch{Grace: time.Minute, Signal: syscall.SIGUSR1}, "plain").run()
	r.awaitStarts(1)
	r.put("a.js", "")
	r.awaitStarts(2)
	if !strings.Contains(read(r.out), "got-user-defined-signal-1") {
		t.Error("another signal")
	}
}

func TestWatchKeyboard(t *testing.T) {
	w := startWatch(t, Watch{Grace: time.Minute}, "plain")
	read, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	w.cmd.Stdin = read
	w.run()
	read.Close()
	w.awaitStarts(1)
	fmt.Fprint(keys, "hello\n rs \n")
	if told := w.awaitStarts(2); told != "" {
		t.Errorf("reported %q", told)
	}
}

// The folder may be created later, and be a link that is switched.
func TestWatchSwitchedLink(t *testing.T) {
	top := t.TempDir()
	r := startWatch(t, Watch{Dir: filepath.Join(top, "current"), Grace: time.Minute}, "plain").run()
	r.awaitMessage("current does not exist; waiting for it")
	write(t, top, map[string]string{"1/a.js": "1", "2/a.js": "2"})
	for n := 1; n <= 2; n++ {
		link := filepath.Join(top, "new")
		if err := os.Symlink(fmt.Sprint(n), link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, r.dir); err != nil {
			t.Fatal(err)
		}
		r.awaitStarts(n)
		pids, _ := r.starts()
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pids[n-1])); err == nil &&
			filepath.Base(cwd) != fmt.Sprint(n) {
			t.Errorf("it runs in %s", cwd)
		}
	}
	r.put("a.js", "22")
	if told := r.awaitStarts(3); told != "a.js" {
		t.Errorf("reported %q", told)
	}
	if said := read(r.messages); strings.Contains(said, "polling every second") {
		t.Error(said)
	}
}
