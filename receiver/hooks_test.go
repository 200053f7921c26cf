package receiver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// No change of the program's path, the hooks or their socket loses a push.
func TestHooksAreReady(t *testing.T) {
	self := filepath.Join(t.TempDir(), "paas")
	if out, err := exec.Command("cp", os.Args[0], self).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	root, err := os.MkdirTemp("/tmp", "paas") // /dev/shm may have little space
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	s := startServer(
		t, root, func(r *Receiver) { r.Self = func() (string, error) { return self, nil } },
	)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	hook := func(name string) string { return filepath.Join(s.hooks.dir, name) }
	for i, broken := range []struct {
		what string
		do   func() error
	}{
		{"the program is replaced", func() error {
			return errors.Join(os.Remove(self), os.WriteFile(self, []byte("#!/bin/sh\nexit 0\n"), 0o755))
		}},
		{"the program is gone", func() error { return os.Remove(self) }},
		{"a hook is gone", func() error { return os.Remove(hook(postReceive)) }},
		{"a hook leads nowhere", func() error { return s.Volume.ReplaceLink("/none", hook(preReceive)) }},
		{"the socket is gone", func() error { return os.Remove(s.Receiver.socket) }},
		{"the copy is gone", func() error { // and the program is there again
			return errors.Join(os.Remove(hook(program)), exec.Command("cp", os.Args[0], self).Run())
		}},
		{"the copy cannot be run", func() error { return os.Chmod(hook(program), 0o600) }},
		{"all hooks are gone", func() error { return os.RemoveAll(filepath.Dir(s.hooks.dir)) }},
	} {
		if err := broken.do(); err != nil {
			t.Fatal(err)
		}
		c.commit(broken.what, "n", fmt.Sprint(i))
		contains(t, c.git("push", "paas", "main"), fmt.Sprintf("v%d is live", i+2))
	}
	if info, err := os.Stat(s.hooks.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info, err)
	}
	s.stop()
	s = startServer(
		t, s.Volume.Root,
		func(r *Receiver) { r.Self = func() (string, error) { return self, nil } },
	)
	c.socket = s.socket
	c.commit("next life", "n", "next")
	contains(t, c.git("push", "paas", "main"), "v10 is live")
	if lives, err := os.ReadDir(filepath.Dir(s.hooks.dir)); len(lives) != 1 || err != nil {
		t.Errorf("hooks of an earlier life are left: %v, %v", lives, err)
	}
	os.Remove(self)
	os.Remove(hook(program))
	c.commit("lost", "n", "lost")
	c.refused("paas main", "hooks: "+self+" cannot be run; start the server again")
}

// If git did not run its hooks, the client ends with an error, and the branch is where it was.
func TestSkippedHooks(t *testing.T) {
	var skip atomic.Value
	s := newServer(
		t,
		func(r *Receiver) { r.breakpoint = func(where string) { skip.Load().(func(string))(where) } },
	)
	hook := func(name string) string { return filepath.Join(s.hooks.dir, name) }
	for i, test := range []struct {
		what, where string
		hooks       []string
	}{
		{"both hooks", "ready", []string{preReceive, postReceive}},
		{"the first hook", "ready", []string{preReceive}},
		{"the last hook", "ready", []string{postReceive}},
		{"the last hook at the last moment", "concluded", []string{postReceive}},
	} {
		t.Run(test.what, func(t *testing.T) {
			name := fmt.Sprintf("blog%d", i)
			c := newClone(t, s.socket, "alice", name)
			lose := func(where string) {
				if where == test.where {
					for _, h := range test.hooks {
						os.Remove(hook(h))
					}
				}
			}
			skip.Store(lose)
			c.refused("paas main", "the server could not run its hooks")
			if _, err := s.Volume.App(name); err == nil && s.ref(name, "refs/heads/main") != "" {
				t.Error("the first push moved the branch")
			}
			skip.Store(func(string) {})
			one := c.git("rev-parse", "HEAD")
			c.git("push", "paas", "main")
			c.commit("two", "a", "b")
			skip.Store(lose)
			c.refused("paas main", "the server could not run its hooks")
			skip.Store(func(string) {})
			if ref := s.ref(name, "refs/heads/main"); ref != one {
				t.Errorf("the branch is at %s, want %s", ref, one)
			}
			left(t, s, name)
			contains(t, c.git("push", "paas", "main"), "is live")
		})
	}
}
