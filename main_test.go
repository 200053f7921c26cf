package main

import (
	"flag"
	"fmt"
	"io"
	"log"
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
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/engine/local/limits"
	"paas/rig"
	"paas/rig/pebble"
	"paas/rig/s3store"
	"paas/rig/visitor"
	"paas/signals"
)

// TestMain lets the test binary be every program that the scripts run: paas, its hooks, webapp (an
// app that can misbehave in many ways), and the programs of thief_test.go.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"paas":         exitAtOnce(main),
		"pre-receive":  exitAtOnce(main),
		"post-receive": exitAtOnce(main),
		"webapp":       webapp,
		"victim":       victim,
		"thief":        thief,
		"visitor":      countAnswers,
		"dial":         dial,
	})
}

// tests are the tests themselves, where the binary is none of the programs.
type tests struct{ *testing.M }

func (t tests) Run() int {
	signals.ResetForChildren() // also under nohup
	return t.M.Run()
}

// exitAtOnce keeps the race detector from delaying the program's exit by a second. Scripts have
// rig.ExitAtOnce in their environment. The programs that servers start, such as hooks, do not: they
// set it and execute themselves again, because the detector reads it before any other code runs.
func exitAtOnce(program func()) func() {
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

// raceDetector reports whether this binary was built with the race detector.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	race := debug.BuildSetting{Key: "-race", Value: "true"}
	return info != nil && slices.Contains(info.Settings, race)
}

// raced are the sessions that run with the race detector under -short: at least one for each part of
// the server. The others run without it then, in half the CPU time.
var raced = []string{
	"cron", "domains", "front", "git_http", "keeper", "proving", "push", "queue", "requests",
	"run_terminal", "sleep", "source", "watch_mode",
}

// skipRaced skips a test under -short if this binary has the race detector. scripts/test runs it
// without.
func skipRaced(t *testing.T) {
	t.Helper()
	if testing.Short() && raceDetector() {
		t.Skip("runs without the race detector if -short is set")
	}
}

// TestScripts runs testdata/script/*.txtar: sessions of a person with the real binary, git and
// OpenSSH. Each script has a server of its own (serve), a home folder, a registered key named
// alice, and the environment of a person. Under -short a binary with the race detector runs those in
// [raced], and one without it runs the others.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"git", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: scripts/test installs it", tool)
		}
	}
	all, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		isRaced := func(file string) bool {
			return slices.Contains(raced, strings.TrimSuffix(filepath.Base(file), ".txtar"))
		}
		all = slices.DeleteFunc(all, func(file string) bool { return isRaced(file) != raceDetector() })
	}
	params := scriptParams()
	params.Files = all
	testscript.Run(t, params)
}

// scriptParams returns what all scripts share: set-up, conditions and commands.
func scriptParams() testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    cmdServe,
			"kill9":    cmdKill9,
			"shutdown": cmdShutdown, // not stop: that ends a script
			"get":      cmdGet,
			"see":      cmdSee,
			"load":     cmdLoad,
			"until":    cmdUntil,
			"gone":     cmdGone,
			"repo":     cmdRepo,
			"gocache":  cmdGoCache,
			"commit":   cmdCommit,
			"githost":  cmdGithost,
			"terminal": cmdTerminal,
			"crashing": cmdCrashing,
			"registry": cmdRegistry,
			"pebble":   cmdPebble,
			"s3store":  cmdS3store,
			"visit":    cmdVisit,
			"kept":     cmdKept,
		},
	}
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "registry": // npm reaches the registry it is configured for
		return exec.Command("npm", "ping", "--fetch-retries=0", "--fetch-timeout=10000").Run() == nil, nil
	case "maven": // its plugins are where Debian installs them
		_, jar := os.Stat("/usr/share/maven-repo/org/apache/maven/plugins/maven-jar-plugin")
		_, surefire := os.Stat("/usr/share/maven-repo/org/apache/maven/plugins/maven-surefire-plugin")
		return jar == nil && surefire == nil, nil
	case "limits": // the kernel can enforce all limits
		l := limits.Open("/none/of/the/tests", false)
		defer l.Close()
		all := limits.Limits{Memory: 1, CPU: 1, Processes: 1}
		return l.Holds(all) == all, nil
	case "pebble":
		_, err := pebble.Installed()
		return err == nil, nil
	case "s3store":
		_, err := s3store.Installed()
		return err == nil, nil
	case "ownnet":
		return os.Getenv("PAAS_TEST_OWN_NET") != "", nil
	case "linux":
		_, err := os.Stat("/proc/self/stat")
		return err == nil, nil
	}
	return false, fmt.Errorf("no condition %s", name)
}

// people have keys in each script, and a program that calls ssh with it, such as ssh-bob.
var people = []string{"alice", "bob", "carol", "dora"}

func setUp(env *testscript.Env) error {
	// Not in testscript's work folder: its path is long, and a socket's may have 108 bytes.
	root, err := os.MkdirTemp("", "paas")
	if err != nil {
		return err
	}
	env.Defer(func() {
		exec.Command("umount", "-l", root).Run() // in case the script mounted a small disk
		os.RemoveAll(root)
	})
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		return err
	}
	for _, name := range people {
		key := filepath.Join(home, ".ssh", name)
		keygen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "",
			"-C", name+"@laptop", "-f", key)
		if out, err := keygen.CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %v: %s", err, out)
		}
	}
	sshPort, httpPort := visitor.FreePort("127.0.0.1"), visitor.FreePort("127.0.0.1")
	// OpenSSH looks up ~ in the user database, not in $HOME, so every file is named here.
	ssh := func(key string) string {
		return fmt.Sprintf("ssh -F /dev/null -i %s/.ssh/%s -p %s -o IdentitiesOnly=yes "+
			"-o IdentityAgent=none -o UserKnownHostsFile=%s/.ssh/known_hosts "+
			"-o StrictHostKeyChecking=accept-new -o BatchMode=yes", home, key, sshPort, home)
	}
	gitconfig := strings.Join([]string{
		"[user]", "name = Alice", "email = alice@laptop",
		"[init]", "defaultBranch = main",
		"[protocol]", "version = 2",
		"[advice]", "detachedHead = false", "",
	}, "\n")
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitconfig), 0o600); err != nil {
		return err
	}
	wrapper := func(name, key string) error {
		script := "#!/bin/sh\nexec " + ssh(key) + " \"$@\"\n"
		return os.WriteFile(filepath.Join(home, name), []byte(script), 0o700)
	}
	for _, name := range people {
		if err := wrapper("ssh-"+name, name); err != nil {
			return err
		}
	}
	askpass := filepath.Join(home, "askpass") // for git over HTTP: scripts write a token to ~/token
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\ncat $HOME/token\n"), 0o700); err != nil {
		return err
	}
	env.Vars = append(env.Vars, rig.ExitAtOnce)
	env.Setenv("HOME", home)
	env.Setenv("PATH", home+":"+env.Getenv("PATH"))
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_SSH_COMMAND", ssh("alice"))
	env.Setenv("GIT_ASKPASS", askpass)
	env.Setenv("PAAS_ROOT", root)
	env.Setenv("PAAS_SSH_ADDR", "127.0.0.1:"+sshPort)
	env.Setenv("PAAS_HTTP_ADDR", "127.0.0.1:"+httpPort)
	env.Setenv("PAAS_GRACE", "2s")
	env.Setenv("PAAS_TOOLCHAINS", "server") // only the sessions of toolchains fetch some
	env.Setenv("PAAS_APP_NET", "open")      // otherwise the server adds a firewall to this machine
	env.Setenv("PAAS_PROVE", "0")           // proving.txtar tests it; everywhere else it costs 5 s a push
	// Apps leave files for the script in seen; they can write nowhere else.
	seen := filepath.Join(env.WorkDir, "seen")
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
	dotnet, err := filepath.Abs("testdata/dotnet")
	if err != nil {
		return err
	}
	env.Setenv("DOTNET", dotnet)
	env.Setenv("SSHPORT", sshPort)
	env.Setenv("HTTPPORT", httpPort)
	env.Setenv("HTTPSPORT", visitor.FreePort("127.0.0.1"))
	env.Setenv("APPPORT", visitor.FreePort("127.0.0.1"))
	env.Setenv("GITPORT", visitor.FreePort("127.0.0.1"))
	env.Setenv("REMOTE", "ssh://paas@localhost:"+sshPort)
	env.Setenv("HTTPREMOTE", "http://me@paas.localhost:"+httpPort)
	env.Setenv("SECRET_OF_THE_SERVER", "hunter2")
	env.Values[stateKey{}] = &state{servers: map[string]*running{}}
	return nil
}

// request asks the front door for a page of the app, and returns status and body.
func request(ts *testscript.TestScript, app, path string) (int, string, error) {
	return visitor.Get(ts.Getenv("HTTPPORT"), app+".localhost", path)
}

// get APP[/PATH] STATUS [TEXT] sends one request. The answer must have the status, and its body
// must contain TEXT. With ! it must not.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: get APP[/PATH] STATUS [TEXT]")
	}
	app, path, _ := strings.Cut(args[0], "/")
	code, body, err := request(ts, app, "/"+path)
	ts.Check(err)
	if answered(code, body, args[1:]) == neg {
		ts.Fatalf("%s answered %d: %s", args[0], code, body)
	}
}

// answered reports whether an answer has the wanted status and, if given, text.
func answered(code int, body string, want []string) bool {
	return fmt.Sprint(code) == want[0] && (len(want) < 2 || strings.Contains(body, want[1]))
}

// see APP[/PATH] STATUS [TEXT] repeats get until it succeeds, for at most rig.Patience.
func cmdSee(ts *testscript.TestScript, neg bool, args []string) {
	app, path, _ := strings.Cut(args[0], "/")
	var code int
	var body string
	for retry := retryFor(rig.Patience); retry(); {
		var err error
		code, body, err = request(ts, app, "/"+path)
		if err == nil && answered(code, body, args[1:]) {
			return
		}
	}
	ts.Fatalf("%s still answers %d: %s", args[0], code, body)
}

// load start APP starts a visitor who sends 100 requests a second. load stop [FAILURES] stops it
// and fails if more requests failed than that; the default is 0.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := stateOf(ts)
	switch {
	case len(args) == 2 && args[0] == "start":
		s.load = visitor.Start(10*time.Millisecond, func() (int, string, error) {
			return request(ts, args[1], "/")
		})
		ts.Defer(s.load.Stop)
	case 1 <= len(args) && len(args) <= 2 && args[0] == "stop":
		allowed := 0
		if len(args) == 2 {
			var err error
			allowed, err = strconv.Atoi(args[1])
			ts.Check(err)
		}
		s.load.Stop()
		ts.Logf("%d requests, %d failed", s.load.Requests, len(s.load.Failures))
		if s.load.Requests == 0 || len(s.load.Failures) > allowed {
			ts.Fatalf("%d of %d requests failed: %q", len(s.load.Failures), s.load.Requests, s.load.Failures)
		}
	default:
		ts.Fatalf("usage: load start APP | load stop [FAILURES]")
	}
}

// until REGEXP PROGRAM [ARG...] runs the program repeatedly until its output matches, for at most
// rig.Patience. With ! the output must not match.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM [ARG...]")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	if want.MatchString("") {
		ts.Fatalf("%q matches any output: until would not wait", args[0])
	}
	var out []byte
	for retry := retryFor(rig.Patience); retry(); {
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
		cmd.Env = scriptEnv(ts, "PAAS_ROOT", "PAAS_SSH_ADDR", "PAAS_HTTP_ADDR", "GIT_SSH_COMMAND")
		out, _ = cmd.CombinedOutput()
		if want.Match(out) != neg {
			return
		}
	}
	ts.Fatalf("not within %s: %q in %s", rig.Patience, args[0], out)
}

// retryFor returns a function that reports whether the time is not over yet, after a pause from its
// second call on. The pauses grow from 20 to 200 ms, because a try may start a program.
func retryFor(limit time.Duration) (retry func() bool) {
	deadline, pause := time.Now().Add(limit), time.Duration(0)
	return func() bool {
		time.Sleep(pause)
		pause = min(max(20*time.Millisecond, pause*3/2), 200*time.Millisecond)
		return time.Now().Before(deadline)
	}
}

// scriptEnv returns HOME, PATH and the named variables of the script, for a program it starts.
func scriptEnv(ts *testscript.TestScript, names ...string) (env []string) {
	for _, name := range append(names, "HOME", "PATH") {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// gone FILE waits until the process whose id is in FILE has ended, for at most rig.Patience. The id
// is the one that the process sees itself; in a sandbox it differs from the one outside.
func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	if _, err := fmt.Sscan(ts.ReadFile(args[0]), &pid); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for retry := retryFor(rig.Patience); retry(); {
		if !runs(pid, ts.Getenv("PAAS_ROOT")) {
			return
		}
	}
	ts.Fatalf("process %d still runs after %s", pid, rig.Patience)
}

// runs reports whether a process with this id runs for the server of root: the ids of different
// sandboxes overlap.
func runs(pid int, root string) bool {
	if linux, _ := condition("linux"); !linux {
		return syscall.Kill(pid, 0) == nil
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	return slices.ContainsFunc(all, func(dir string) bool {
		status, _ := os.ReadFile(dir + "/status")
		_, numbers, _ := strings.Cut(string(status), "\nNSpid:") // proc_pid_status(5)
		numbers, _, _ = strings.Cut(numbers, "\n")
		list := strings.Fields(numbers)
		zombie := strings.Contains(string(status), "\nState:\tZ")
		if zombie || len(list) == 0 || list[len(list)-1] != fmt.Sprint(pid) {
			return false
		}
		environ, _ := os.ReadFile(dir + "/environ")
		return strings.Contains(string(environ), root)
	})
}

// repo DIR makes DIR a git repository, commits everything in it, adds the remote paas and changes
// to DIR.
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

// gocache APP creates the app and gives its builds a compiled standard library of Go.
func cmdGoCache(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := rig.GoCache()
	ts.Check(err)
	ts.Check(ts.Exec("paas", "apps:create", args[0]))
	to := filepath.Join(ts.Getenv("PAAS_ROOT"), "apps", args[0], "cache", "go")
	ts.Check(os.MkdirAll(to, 0o755))
	ts.Check(ts.Exec("cp", "-r", dir, filepath.Join(to, "build")))
}

// commit FILE TEXT replaces a file of the current repository and commits all changes.
func cmdCommit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commit FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o644))
	ts.Check(ts.Exec("git", "add", "-A"))
	ts.Check(ts.Exec("git", "commit", "-q", "-m", "change "+args[0]))
}

// webapp is an app for the scripts: it serves page.txt of its working directory.
func webapp() {
	health := flag.Int("health", 200, "status of /health")
	exitAfter := flag.Duration("exit-after", 0, "exit with status 3 this long after the start")
	crashAfter := flag.Duration("crash-after", -1, "exit with status 3 this long after listening")
	noListen := flag.Bool("no-listen", false, "never listen")
	port := flag.String("port", os.Getenv("PORT"), "listen on this port instead of $PORT")
	orphan := flag.String("orphan", "", "start a process in its own session, with its id in this file")
	alsoPort := flag.String("also-port", "", "listen on this port first, besides the other")
	line := flag.String("print", "", "print this line at the start")
	flag.Parse()
	if *line != "" {
		fmt.Println(*line)
	}
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() { os.Exit(3) })
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
	if *noListen {
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
	http.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) { r.Header.Write(w) })
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1500 * time.Millisecond)
		page(w, r)
	})
	http.HandleFunc("/cookie", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b; Domain=localhost; Path=/")
	})
	// Stores each body that it gets, and answers with their number.
	http.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path := filepath.Join(os.Getenv("DATA_DIR"), "posts")
		if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err == nil {
			fmt.Fprintf(f, "%s\n", body)
			f.Close()
		}
		posts, _ := os.ReadFile(path)
		fmt.Fprintf(w, "%d posts\n", strings.Count(string(posts), "\n"))
	})
	// Switches to a protocol that sends back what it gets.
	http.HandleFunc("/echo", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+
				"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			io.Copy(conn, rw)
			conn.Close()
		}
	})
	// Switches to a protocol that sends "hello" and closes.
	http.HandleFunc("/switch", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+
				"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
			conn.Close()
		}
	})
	if *alsoPort != "" {
		if _, err := net.Listen("tcp", "127.0.0.1:"+*alsoPort); err != nil {
			log.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+*port)
	if err != nil {
		log.Fatal(err)
	}
	if *crashAfter == 0 {
		os.Exit(3)
	}
	if *crashAfter > 0 {
		time.AfterFunc(*crashAfter, func() {
			fmt.Print("crashing") // without a newline
			os.Exit(3)
		})
	}
	log.Fatal(http.Serve(ln, nil))
}

// TestScriptsNotRoot runs, as an ordinary user, the scripts whose outcome depends on the server's
// user.
func TestScriptsNotRoot(t *testing.T) {
	skipRaced(t)
	t.Parallel()
	for _, script := range []string{
		"app", "binary_replaced", "build_turns", "format", "isolation", "last_line", "moved", "open_root", "outlives", "signals", "storage",
		"toolchains", "umask",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			rig.AsNobody(t, "^TestScripts$/^"+script+"$",
				"testdata/script/"+script+".txtar", "testdata/volume/format1.tar.gz")
		})
	}
}
