package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"paas/rig"
	"paas/rig/pebble"
	"paas/rig/registry"
	"paas/rig/visitor"
	"paas/volume"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/s3store"
)

// state is what one script has started.
type state struct {
	servers  map[string]*running // by roles; "" is a server with all roles
	load     *visitor.Load
	registry *registry.Registry
	ca       *pebble.CA
	kept     []*keptConn
}

// running is a server process.
type running struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

type stateKey struct{}

func stateOf(ts *testscript.TestScript) *state { return ts.Value(stateKey{}).(*state) }

// serverEnv are the variables that a script may set for the servers that it starts.
var serverEnv = []string{
	"HOME", "PATH", "PAAS_ROOT", "PAAS_SSH_ADDR", "PAAS_HTTP_ADDR", "PAAS_APP_ADDR", "PAAS_GIT_HTTP_ADDR", "PAAS_GRACE", "PAAS_DRAIN", "PAAS_PROVE",
	"SECRET_OF_THE_SERVER", "PAAS_MAX_PUSH", "PAAS_MAX_FILES", "PAAS_MAX_TREE", "PAAS_PASS_ENV",
	"PAAS_APP_WRITE", "PAAS_APP_NET", "PAAS_ISOLATION", "PAAS_HOLD", "PAAS_BUILD_TIMEOUT",
	"PAAS_BOOT_TIMEOUT", "PAAS_DEFAULT_APP", "PAAS_MODE", "PAAS_KEYS", "PAAS_KEYS_FILE",
	"PAAS_NOTIFY", "PAAS_SIDECAR_ADDR", "PAAS_SIDECAR_EXEC", "PAAS_SOURCE_URL", "PAAS_SOURCE_APP",
	"PAAS_SOURCE_EVERY", "PAAS_SOURCE_TOKEN_FILE", "PAAS_PUBLIC_HTTP_PORT", "PAAS_KEEP_BUILDS",
	"PAAS_TOOLCHAINS", "PAAS_TRUSTED_PROXIES", "PAAS_PROXY_PROTOCOL", "npm_config_registry", "PAAS_LOG_FILE", "PAAS_MIN_FREE", "PAAS_BUILD_MEMORY", "PAAS_MAX_BUILDS",
	"PAAS_DOMAIN", "PAAS_HTTPS_ADDR", "PAAS_ACME_CA", "PAAS_ACME_ROOTS", "PAAS_DNS_SERVER",
	"GORACE", "GOCOVERDIR", "TESTAPP_DIR",
}

// machineEnv are variables of this machine that servers need to reach registries.
var machineEnv = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS",
}

// serve [ROLE...] starts the server and waits until it is ready. The first time it registers the
// key alice, unless the script sets PAAS_KEYS. If SERVE_UNDER is set, a shell runs it as a script
// whose "$@" is the server's command line.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	alice := filepath.Join(ts.Getenv("PAAS_ROOT"), "ssh", "keys", "alice")
	if _, err := os.Stat(alice); err != nil && ts.Getenv("PAAS_KEYS") == "" {
		public := filepath.Join(ts.Getenv("HOME"), ".ssh", "alice.pub")
		ts.Check(ts.Exec("paas", "keys:add", "alice", public))
	}
	logPath := ts.MkAbs(strings.Join(append(args, "server.log"), "-"))
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer logFile.Close()
	out, in, err := os.Pipe()
	ts.Check(err)
	path, err := exec.LookPath("paas")
	ts.Check(err)
	argv := append([]string{path, "serve"}, args...)
	if under := ts.Getenv("SERVE_UNDER"); under != "" {
		argv = append([]string{"sh", "-c", under, "sh"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	for _, name := range serverEnv {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for _, name := range machineEnv {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Dir = ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = in, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(cmd.Start())
	in.Close()
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	stateOf(ts).servers[strings.Join(args, " ")] = &running{cmd, exited}
	ts.Defer(func() {
		select {
		case <-exited:
		default:
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-exited:
			case <-time.After(60 * time.Second):
				syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT)
				<-exited
				ts.Logf("the server did not stop")
			}
		}
		if content, _ := os.ReadFile(logPath); len(content) > 0 {
			ts.Logf("[server log]\n%s", content)
			for _, fault := range []string{"WARNING: DATA RACE", "panic:"} {
				if strings.Contains(string(content), fault) {
					ts.Fatalf("the server's log has %q", fault)
				}
			}
		}
	})
	ready := make(chan bool, 1)
	go func() {
		content := ""
		buf := make([]byte, 4096)
		for !strings.HasSuffix(content, "ready\n") {
			n, err := out.Read(buf)
			if content += string(buf[:n]); err != nil {
				ready <- false
				return
			}
		}
		ready <- true
		io.Copy(io.Discard, out)
	}()
	select {
	case ok := <-ready:
		if !ok {
			content, _ := os.ReadFile(logPath)
			ts.Fatalf("the server did not start: %s", content)
		}
	case <-time.After(60 * time.Second):
		ts.Fatalf("the server was not ready within 60s")
	}
}

// started returns the server that the script started with these roles.
func started(ts *testscript.TestScript, roles []string) *running {
	s := stateOf(ts).servers[strings.Join(roles, " ")]
	if s == nil {
		ts.Fatalf("no server with the roles %q was started", roles)
	}
	return s
}

// kill9 [ROLE...] kills the server with its keeper, neither of which can clean up, and waits until both
// are dead.
func cmdKill9(ts *testscript.TestScript, neg bool, args []string) {
	s := started(ts, args)
	// The script may have killed it already.
	if err := s.cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		ts.Check(err)
	}
	<-s.exited
	vol := &volume.Volume{Root: ts.Getenv("PAAS_ROOT")}
	for _, role := range append(args, allRoles...) {
		lock, _ := os.ReadFile(filepath.Join(vol.Root, "run", role+".lock"))
		for retry := retryFor(rig.Patience); strings.TrimSpace(string(lock)) == strconv.Itoa(s.cmd.Process.Pid) && retry(); {
			if !vol.Claimed(role) {
				break
			}
		}
	}
}

// shutdown [ROLE...] stops the server with SIGTERM. Its exit status must be 0.
func cmdShutdown(ts *testscript.TestScript, neg bool, args []string) {
	s := started(ts, args)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.exited:
	case <-time.After(60 * time.Second):
		ts.Fatalf("the server did not stop within 60s")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("the server exited with status %d", code)
	}
}

// githost DIR serves the bare repositories in DIR over smart HTTP, as a git host does, at $GITHOST.
func cmdGithost(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: githost DIR")
	}
	path, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	host := httptest.NewServer(http.Handler(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + ts.MkAbs(args[0]), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1", "HOME=" + ts.MkAbs("."),
		},
		Root:   "/",
		Stderr: io.Discard, // git's complaint about a missing repository
	}))
	ts.Defer(host.Close)
	ts.Setenv("GITHOST", host.URL)
}

// registry PROGRAM@VERSION... starts an npm registry that servers use from then on, with these
// programs. Each is the machine's node: under another version, which it has in $TOOLCHAIN, or as a
// program that prints its version and arguments. registry hang lets it send no packages, registry go
// lets it again, and registry down stops it.
func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	s := stateOf(ts)
	switch args[0] {
	case "down":
		s.registry.Close()
		return
	case "go":
		s.registry.Instead(nil)
		return
	case "hang":
		s.registry.Instead(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, ".tgz") {
				<-q.Context().Done()
				return
			}
			s.registry.Serve(w, q)
		})
		return
	}
	s.registry = registry.New()
	ts.Defer(s.registry.Close)
	ts.Setenv("npm_config_registry", s.registry.URL)
	node, err := exec.LookPath("node")
	ts.Check(err)
	npm, err := exec.LookPath("npm")
	ts.Check(err)
	npm, err = filepath.EvalSymlinks(npm)
	ts.Check(err)
	for _, arg := range args {
		name, version, _ := strings.Cut(arg, "@")
		pkg, file := name, "#!/usr/bin/env node\nconsole.log('"+arg+"', ...process.argv.slice(2))\n"
		switch name {
		case "node":
			pkg = registry.NodePackage()
			file = "#!/bin/sh\n[ \"$1\" = --version ] && echo v" + version + " && exit\n" +
				"TOOLCHAIN=" + version + " exec " + node + " \"$@\"\n"
		case "npm":
			file = "#!/usr/bin/env node\nrequire('" + npm + "')\n"
		}
		s.registry.Publish(pkg, version, map[string]any{"bin": map[string]string{name: "cli"}},
			map[string]string{"cli": file})
	}
}

// s3store starts an S3 store with a bucket called backups, at $S3STORE; its access key is in the file
// s3key.
func cmdS3store(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("s3store")
	ts.Check(os.MkdirAll(filepath.Join(dir, "files", "backups"), 0o700))
	store, err := s3store.Start(dir)
	ts.Check(err)
	ts.Defer(store.Stop)
	ts.Setenv("S3STORE", store.Endpoint)
	ts.Check(os.WriteFile(ts.MkAbs("s3key"), []byte(s3store.ID+"\n"+s3store.Key+"\n"), 0o600))
}
