package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/engine/local/limits"
	"paas/rig"
)

// TestMain makes the test binary stand for every program that the scripts run: paas itself, its
// hooks, webapp, an app that can misbehave in every way, and those of thief_test.go.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"paas":         atOnce(main),
		"pre-receive":  atOnce(main),
		"post-receive": atOnce(main),
		"webapp":       webapp,
		"victim":       victim,
		"thief":        thief,
		"visitor":      visitor,
		"dial":         dial,
	})
}

// atOnce makes the program end at once under the race detector, too. Scripts have rig.ExitAtOnce in their environment; what
// servers start, as hooks, has one of its own, and begins anew with it: the detector reads it before anything else runs.
func atOnce(program func()) func() {
	return func() {
		if _, ok := os.LookupEnv("GORACE"); !ok && raceDetector() {
			self, err := os.Executable()
			if err == nil {
				err = syscall.Exec(self, os.Args, append(os.Environ(), rig.ExitAtOnce))
			}
			log.Fatal(err)
		}
		program()
	}
}

// raceDetector says whether this binary is built with it.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestScripts runs testdata/script/*.txtar: sessions of a person with the real binary, git and
// OpenSSH. Each gets a server of its own (serve), a home, a key named alice that is registered, and
// the environment a person would have.
func TestScripts(t *testing.T) {
	for _, tool := range []string{"git", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: scripts/test installs it", tool)
		}
	}
	params := sessions()
	params.Dir = "testdata/script"
	testscript.Run(t, params)
}

// sessions are what scripts have, wherever they come from.
func sessions() testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":     cmdServe,
			"kill9":     cmdKill9,
			"shutdown":  cmdShutdown, // stop is testscript's own: it ends the script there, as passed
			"get":       cmdGet,
			"see":       cmdSee,
			"load":      cmdLoad,
			"until":     cmdUntil,
			"gone":      cmdGone,
			"repo":      cmdRepo,
			"commit":    cmdCommit,
			"elsewhere": cmdElsewhere,
			"terminal":  cmdTerminal,
			"deaths":    cmdDeaths,
		},
	}
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "registry": // npm reaches the registry that it is set up for
		return exec.Command("npm", "ping", "--fetch-retries=0", "--fetch-timeout=10000").Run() == nil, nil
	case "maven": // has its plugins where Debian puts them
		_, jar := os.Stat("/usr/share/maven-repo/org/apache/maven/plugins/maven-jar-plugin")
		_, surefire := os.Stat("/usr/share/maven-repo/org/apache/maven/plugins/maven-surefire-plugin")
		return jar == nil && surefire == nil, nil
	case "limits": // the kernel can be had to hold processes to them
		l := limits.Open("/none/of/the/tests")
		defer l.Close()
		all := limits.Limits{Memory: 1, CPU: 1, Processes: 1}
		return l.Holds(all) == all, nil
	case "ownnet":
		return os.Getenv("PAAS_TEST_OWN_NET") != "", nil
	case "linux":
		_, err := os.Stat("/proc/self/stat")
		return err == nil, nil
	}
	return false, fmt.Errorf("no condition %s", name)
}

// given are the ports that scripts have been given, which may not listen on them yet.
var given sync.Map

// freePort is a port of the loopback interface below those that apps and the system take.
func freePort() string {
	for {
		port := fmt.Sprint(10000 + rand.IntN(9999))
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
}

func setUp(env *testscript.Env) error {
	// testscript's own work folder is deep; sun_path allows 108 bytes
	root, err := os.MkdirTemp("", "paas")
	if err != nil {
		return err
	}
	env.Defer(func() {
		exec.Command("umount", "-l", root).Run() // where the script has put a small disk there
		os.RemoveAll(root)
	})
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob"} {
		key := filepath.Join(home, ".ssh", name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name+"@laptop", "-f", key).CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %v: %s", err, out)
		}
	}
	sshPort, httpPort := freePort(), freePort()
	// OpenSSH finds ~ in the user database, not in $HOME: everything is named here.
	ssh := func(key string) string {
		return fmt.Sprintf("ssh -F /dev/null -i %s/.ssh/%s -p %s -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=%s/.ssh/known_hosts -o StrictHostKeyChecking=accept-new -o BatchMode=yes",
			home, key, sshPort, home)
	}
	gitconfig := "[user]\n\tname = Alice\n\temail = alice@laptop\n[init]\n\tdefaultBranch = main\n[protocol]\n\tversion = 2\n[advice]\n\tdetachedHead = false\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitconfig), 0o600); err != nil {
		return err
	}
	wrapper := func(name, key string) error {
		script := "#!/bin/sh\nexec " + ssh(key) + " \"$@\"\n"
		return os.WriteFile(filepath.Join(home, name), []byte(script), 0o700)
	}
	for name, key := range map[string]string{"ssh-alice": "alice", "ssh-bob": "bob"} {
		if err := wrapper(name, key); err != nil {
			return err
		}
	}
	env.Vars = append(env.Vars, rig.ExitAtOnce)
	env.Setenv("HOME", home)
	env.Setenv("PATH", home+":"+env.Getenv("PATH"))
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_SSH_COMMAND", ssh("alice"))
	env.Setenv("PAAS_ROOT", root)
	env.Setenv("PAAS_SSH_ADDR", "127.0.0.1:"+sshPort)
	env.Setenv("PAAS_HTTP_ADDR", "127.0.0.1:"+httpPort)
	env.Setenv("PAAS_GRACE", "2s")
	env.Setenv("PAAS_APP_NET", "open")         // else the server has a firewall in the network of this machine
	env.Setenv("PAAS_PROVE", "0")              // proving.txtar is about it; elsewhere it would be 5 s a push
	seen := filepath.Join(env.WorkDir, "seen") // where apps leave what scripts look at: they write nowhere else
	if err := os.Mkdir(seen, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(seen, 0o777); err != nil {
		return err
	}
	env.Setenv("PAAS_APP_WRITE", seen)
	examples, err := filepath.Abs("examples")
	if err != nil {
		return err
	}
	env.Setenv("EXAMPLES", examples)
	volumes, err := filepath.Abs("testdata/volume")
	if err != nil {
		return err
	}
	env.Setenv("VOLUMES", volumes)
	env.Setenv("SSHPORT", sshPort)
	env.Setenv("HTTPPORT", httpPort)
	env.Setenv("APPPORT", freePort())
	env.Setenv("REMOTE", "ssh://paas@localhost:"+sshPort)
	env.Setenv("SECRET_OF_THE_SERVER", "hunter2")
	env.Values[stateKey{}] = &state{servers: map[string]*running{}}
	return nil
}

func request(ts *testscript.TestScript, app, path string) (int, string, error) {
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+ts.Getenv("HTTPPORT")+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = app + ".localhost"
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// get APP[/PATH] STATUS [TEXT] asks once; the answer's body must contain TEXT. With ! it must not be so.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: get APP[/PATH] STATUS [TEXT]")
	}
	app, path, _ := strings.Cut(args[0], "/")
	code, body, err := request(ts, app, "/"+path)
	ts.Check(err)
	good := fmt.Sprint(code) == args[1] && (len(args) < 3 || strings.Contains(body, args[2]))
	if good == neg {
		ts.Fatalf("%s answered %d: %s", args[0], code, body)
	}
}

// see APP[/PATH] STATUS [TEXT] asks as get does until the answer is so, for 30 s at most.
func cmdSee(ts *testscript.TestScript, neg bool, args []string) {
	app, path, _ := strings.Cut(args[0], "/")
	var code int
	var body string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		code, body, err = request(ts, app, "/"+path)
		if err == nil && fmt.Sprint(code) == args[1] && (len(args) < 3 || strings.Contains(body, args[2])) {
			return
		}
	}
	ts.Fatalf("%s still answers %d: %s", args[0], code, body)
}

// load start APP | load stop [FAILURES]: a visitor who asks 100 times a second; stop fails where more
// requests did than that, which is none by default.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := stateOf(ts)
	switch {
	case len(args) == 2 && args[0] == "start":
		s.load = &load{quit: make(chan struct{}), done: make(chan struct{})}
		go s.load.run(ts, args[1])
		ts.Defer(s.load.stop)
	case 1 <= len(args) && len(args) <= 2 && args[0] == "stop":
		most := 0
		if len(args) == 2 {
			var err error
			most, err = strconv.Atoi(args[1])
			ts.Check(err)
		}
		s.load.stop()
		ts.Logf("%d requests, %d failed", s.load.asked, len(s.load.failed))
		if s.load.asked == 0 || len(s.load.failed) > most {
			ts.Fatalf("%d of %d requests failed: %q", len(s.load.failed), s.load.asked, s.load.failed)
		}
	default:
		ts.Fatalf("usage: load start APP | load stop [FAILURES]")
	}
}

type load struct {
	quit, done chan struct{}
	stopped    bool
	asked      int
	failed     []string
}

func (l *load) run(ts *testscript.TestScript, app string) {
	defer close(l.done)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		l.asked++
		if code, body, err := request(ts, app, "/"); err != nil || code != 200 {
			l.failed = append(l.failed, fmt.Sprint(code, " ", err, " ", body))
		}
	}
}

func (l *load) stop() {
	if !l.stopped {
		close(l.quit)
		l.stopped = true
	}
	<-l.done
}

// until REGEXP PROGRAM [ARG...] runs the program again and again until it prints what matches, for 30 s at most.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM [ARG...]")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	var out []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		path, err := exec.LookPath(args[1])
		if strings.Contains(args[1], "/") {
			path, err = args[1], nil
		}
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if p := filepath.Join(dir, args[1]); err != nil {
				if _, statErr := os.Stat(p); statErr == nil {
					path, err = p, nil
				}
			}
		}
		ts.Check(err)
		cmd := exec.Command(path, args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		for _, name := range []string{"HOME", "PATH", "PAAS_ROOT", "PAAS_SSH_ADDR", "PAAS_HTTP_ADDR", "GIT_SSH_COMMAND"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		out, _ = cmd.CombinedOutput()
		if want.Match(out) != neg {
			return
		}
	}
	ts.Fatalf("not within 30s: %q in %s", args[0], out)
}

// gone FILE waits until the process whose number is in FILE does not run any more: the number that it has itself, which
// in a sandbox is another than it has outside.
func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	if _, err := fmt.Sscan(ts.ReadFile(args[0]), &pid); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !runs(pid, ts.Getenv("PAAS_ROOT")) {
			return
		}
	}
	ts.Fatalf("process %d still runs after 20s", pid)
}

// runs says whether a process runs that has this number, and belongs to root: sandboxes have the same
// numbers.
func runs(pid int, root string) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getpid())); err != nil || len(stat) == 0 { // no Linux
		return syscall.Kill(pid, 0) == nil
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	return slices.ContainsFunc(all, func(dir string) bool {
		status, _ := os.ReadFile(dir + "/status")
		_, numbers, _ := strings.Cut(string(status), "\nNSpid:") // proc_pid_status(5)
		numbers, _, _ = strings.Cut(numbers, "\n")
		list := strings.Fields(numbers)
		if len(list) == 0 || list[len(list)-1] != fmt.Sprint(pid) || strings.Contains(string(status), "\nState:\tZ") {
			return false
		}
		environ, _ := os.ReadFile(dir + "/environ")
		return strings.Contains(string(environ), root)
	})
}

// repo DIR makes DIR a git repository with everything in it committed, and the remote paas for it.
func cmdRepo(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for _, a := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "--allow-empty", "-m", "one"},
		{"remote", "add", "paas", ts.Getenv("REMOTE") + "/" + filepath.Base(dir)},
	} {
		ts.Check(ts.Exec("git", append([]string{"-C", dir}, a...)...))
	}
	ts.Check(ts.Chdir(args[0]))
}

// commit FILE TEXT replaces a file of the current repository and commits it.
func cmdCommit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commit FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o644))
	ts.Check(ts.Exec("git", "add", "-A"))
	ts.Check(ts.Exec("git", "commit", "-q", "-m", "change "+args[0]))
}

// webapp is an app for the scripts: it answers with the content of page.txt in its folder.
func webapp() {
	health := flag.Int("health", 200, "status of /health")
	die := flag.Duration("die", 0, "exit with status 3 after so long")
	fall := flag.Duration("fall", -1, "exit with status 3 so long after it has begun to listen; below 0: never")
	mute := flag.Bool("mute", false, "never listen")
	port := flag.String("port", os.Getenv("PORT"), "listen here instead of $PORT")
	orphan := flag.String("orphan", "", "start a process of its own session and write its number to this file")
	also := flag.String("also", "", "listen on this port too, before the other")
	say := flag.String("say", "", "print this at the start")
	flag.Parse()
	if *say != "" {
		fmt.Println(*say)
	}
	if *die > 0 {
		time.AfterFunc(*die, func() { os.Exit(3) })
	}
	if *orphan != "" {
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
		os.WriteFile(*orphan, fmt.Append(nil, cmd.Process.Pid), 0o644)
	}
	if *mute {
		select {}
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		content, err := os.ReadFile("page.txt")
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		fmt.Fprintf(w, "%s\npid %d\n", strings.TrimSpace(string(content)), os.Getpid())
	}
	http.HandleFunc("/", page)
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(*health) })
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1500 * time.Millisecond)
		page(w, r)
	})
	http.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) { // notes what it was sent, and says how much that was by now
		body, _ := io.ReadAll(r.Body)
		path := filepath.Join(os.Getenv("DATA_DIR"), "posts")
		if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err == nil {
			fmt.Fprintf(f, "%s\n", body)
			f.Close()
		}
		posts, _ := os.ReadFile(path)
		fmt.Fprintf(w, "%d posts\n", strings.Count(string(posts), "\n"))
	})
	http.HandleFunc("/switch", func(w http.ResponseWriter, _ *http.Request) { // to another protocol, which says hello
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
			conn.Close()
		}
	})
	if *also != "" {
		if _, err := net.Listen("tcp", "127.0.0.1:"+*also); err != nil {
			log.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+*port)
	if err != nil {
		log.Fatal(err)
	}
	if *fall == 0 {
		os.Exit(3)
	}
	if *fall > 0 {
		time.AfterFunc(*fall, func() {
			fmt.Print("falling") // the last line has no end
			os.Exit(3)
		})
	}
	log.Fatal(http.Serve(ln, nil))
}

// Sessions of which the outcome depends on who runs the server, as somebody who is not root.
func TestScriptsNotRoot(t *testing.T) {
	for _, session := range []string{"build_turns", "format", "isolation", "last_line", "open_root", "signals", "umask", "upgraded"} {
		t.Run(session, func(t *testing.T) {
			rig.AsNobody(t, "^TestScripts$/^"+session+"$", "testdata/script/"+session+".txtar", "testdata/volume/format1.tar.gz")
		})
	}
}
