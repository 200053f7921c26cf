//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// secret is something that an app must not be able to read.
type secret struct {
	path string
	// telltale is the text that gives the secret away; empty: any text. The app may have a process of
	// its own with the same id.
	telltale string
}

// isolated makes the app try to read files of another app and of the server. Where isolation is
// off, this is reported once and is no fault.
func (d *day) isolated(ctx context.Context, a *app) error {
	if !a.node {
		return nil
	}
	var info struct{ Isolation string }
	if err := d.person.ask(ctx, false, &info, "apps:info", a.name); err != nil {
		if ctx.Err() == nil {
			d.broken(everyDoor, "%s: %v", a.name, err)
		}
		return err
	}
	if info.Isolation == "" || strings.HasPrefix(info.Isolation, "none") {
		d.exposed.Do(func() {
			progress(" !     skipped: looking into other apps: isolation %s",
				info.Isolation)
		})
		return nil
	}
	for _, s := range d.secrets(a) {
		text, err := d.visitor.call(ctx, false, "GET", a.name, "/peek?path="+url.QueryEscape(s.path), "")
		if err := s.kept(text, err); err != nil && ctx.Err() == nil {
			d.broken(itself, "%s: %v", a.name, err)
			return err
		}
		d.kept(itself)
	}
	return nil
}

// serverUnconfined checks that the confinement of an app does not apply to the server's first
// thread, which /proc and Landlock take for the whole process. The server would count as part of
// that app.
func (d *day) serverUnconfined() {
	if server, own := noNewPrivileges(d.server.serving()), noNewPrivileges(os.Getpid()); server != own {
		d.broken(itself, "the server itself is confined: NoNewPrivs is %q, and of who started it %q",
			server, own)
		return
	}
	d.kept(itself)
}

// noNewPrivileges returns that line of proc_pid_status(5) for the process's first thread.
func noNewPrivileges(pid int) (value string) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "NoNewPrivs: %s", &value)
	}
	return value
}

// kept returns an error if the app's answer gives the secret away.
func (s secret) kept(text string, err error) error {
	var status statusError
	switch {
	case err == nil && strings.Contains(text, s.telltale):
		return fmt.Errorf("it can read %s, which has %q: %.60q", s.path, s.telltale, text)
	case err == nil:
		return nil
	case errors.As(err, &status) && status.status == http.StatusInsufficientStorage:
		return nil // the app could not read it
	}
	return fmt.Errorf("it could not be asked for %s: %w", s.path, err)
}

// secrets returns files, folders and environments that do not belong to the app.
func (d *day) secrets(a *app) (all []secret) {
	own := filepath.Join(d.root, "apps", a.name)
	all = append(all,
		secret{path: filepath.Join(d.root, "ssh", "host_ed25519")},
		secret{path: filepath.Join(own, "settings.json")},
		secret{path: filepath.Join(own, "repo.git", "config")},
		secret{fmt.Sprintf("/proc/%d/environ", d.server.serving()), "PAAS_SSH_ADDR="})
	for _, other := range d.apps {
		if other != a {
			of := filepath.Join(d.root, "apps", other.name)
			for _, name := range []string{"settings.json", "data", "logs", "builds", "releases"} {
				all = append(all, secret{path: filepath.Join(of, name)})
			}
		}
	}
	for _, t := range appProcesses(d.root) {
		if of := t.env["PAAS_APP"]; of != "" && of != a.name {
			all = append(all, secret{fmt.Sprintf("/proc/%d/environ", t.pid), "PAAS_APP=" + of})
		}
	}
	return all
}
