package acceptance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/visitor"
)

// tag is the tag of the tested images.
var tag = os.Getenv("ACCEPTANCE_TAG")

// TestSessions runs testdata/script/*.txtar. Each session has a compose project of its own on free
// ports, a home folder, and the key alice in $PAAS_KEYS. Its project is removed at the end.
func TestSessions(t *testing.T) {
	needImages(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"commit":  cmdCommit,
			"get":     cmdGet,
			"healthy": cmdHealthy,
			"load":    cmdLoad,
			"outside": cmdOutside,
			"repo":    cmdRepo,
			"see":     cmdSee,
			"until":   cmdUntil,
		},
	})
}

func needImages(t *testing.T) {
	t.Helper()
	if tag == "" {
		t.Skip("no images: scripts/acceptance makes them and runs this")
	}
}

func condition(name string) (bool, error) {
	switch name {
	case "dotnet":
		return exec.Command("docker", "image", "inspect", dotnetImage()).Run() == nil, nil
	}
	return false, fmt.Errorf("no condition %s", name)
}

// dotnetImage is the base of examples/classic/dotnet. Debian has no package for it.
func dotnetImage() string {
	if image := os.Getenv("DOTNET_IMAGE"); image != "" {
		return image
	}
	return "mcr.microsoft.com/dotnet/sdk:10.0"
}

// root returns the folder of this repository.
func root() (string, error) { return filepath.Abs(filepath.Join("..", "..")) }

func setUp(env *testscript.Env) error {
	main, err := root()
	if err != nil {
		return err
	}
	s := &session{project: project{fmt.Sprintf("paas-%s-%08x", tag, rand.Uint32())}}
	env.Defer(func() {
		env.T().Log(s.logs())
		s.remove()
	})
	env.Values[sessionKey{}] = s
	for i, value := range []string{s.name, filepath.Join(main, "docker-compose.yml"), tag, visitor.FreePort(""),
		visitor.FreePort(""), visitor.FreePort(""), visitor.FreePort("")} {
		env.Setenv(own[i], value)
	}
	env.Setenv("REPO", main)
	for _, name := range inherited {
		if value := os.Getenv(name); value != "" {
			env.Setenv(name, value)
		}
	}
	return setUpHome(env)
}

// The variables that a session's programs see: its own, and those of scripts/acceptance.
var (
	own = []string{"COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "TAG", "HTTP_PORT", "SSH_PORT",
		"HOOKS_PORT", "HTTPS_PORT", "HOME", "PATH", "PAAS_KEYS"}
	inherited = []string{"DOCKER_HOST", "DOCKER_BUILDKIT", "COMPOSE_DOCKER_CLI_BUILD", "GO_IMAGE",
		"GIT_IMAGE", "APP_IMAGE", "DOTNET_IMAGE"}
)

// setUpHome gives the session's person a home folder with keys, a git configuration and an ssh for
// each key.
func setUpHome(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob"} {
		key := filepath.Join(home, ".ssh", name)
		keygen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "",
			"-C", name+"@laptop", "-f", key)
		if out, err := keygen.CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %v: %s", err, out)
		}
		// OpenSSH looks up ~ in the user database, not in $HOME, so every file is named here.
		ssh := fmt.Sprintf("ssh -F /dev/null -i %s -p %s -o IdentitiesOnly=yes "+
			"-o IdentityAgent=none -o UserKnownHostsFile=%s/.ssh/known_hosts "+
			"-o StrictHostKeyChecking=accept-new -o BatchMode=yes", key, env.Getenv("SSH_PORT"), home)
		if err := os.WriteFile(filepath.Join(home, "ssh-"+name),
			[]byte("#!/bin/sh\nexec "+ssh+" \"$@\"\n"), 0o700); err != nil {
			return err
		}
	}
	public, err := os.ReadFile(filepath.Join(home, ".ssh", "alice.pub"))
	if err != nil {
		return err
	}
	gitconfig := "[user]\n\tname = Alice\n\temail = alice@laptop\n[init]\n\tdefaultBranch = main\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitconfig), 0o600); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"HOME":                home,
		"PATH":                home + ":" + env.Getenv("PATH"),
		"GIT_CONFIG_NOSYSTEM": "1",
		"GIT_SSH_COMMAND":     "ssh-alice",
		"PAAS_KEYS":           strings.TrimSpace(string(public)),
		"REMOTE":              "ssh://paas@localhost:" + env.Getenv("SSH_PORT"),
	} {
		env.Setenv(name, value)
	}
	return nil
}
