//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// lastLooks end the day: what a kill and a graceful stop leave, and that all comes back from both.
func (d *day) lastLooks(ctx context.Context) {
	// SIGQUIT is a crash that says what all goroutines were doing.
	over := d.outage("crash of the server")
	if _, err := d.server.end(syscall.SIGQUIT, 20*time.Second); err != nil {
		d.broken(nothingLeft, "%v", err)
	}
	d.goroutines = d.count()
	if most := 60 + 40*len(d.apps); d.goroutines > most {
		d.broken(nothingLeft, "there were %d goroutines at rest; the end of server.log has them", d.goroutines)
	}
	d.revive(ctx, over)
	d.rest(ctx)
	if ctx.Err() != nil {
		return
	}
	d.outage("the end")
	d.stopGracefully(true)
}

var goroutineLine = regexp.MustCompile(`^goroutine \d+ .*\[`)

// count is how many goroutines the server's log ends with.
func (d *day) count() (n int) {
	f, err := os.Open(d.server.log)
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if goroutineLine.MatchString(lines.Text()) {
			n++
		}
	}
	return n
}

// apart has the app try to read what is of another app and of the server. Where nothing keeps apps apart, that is
// said once, and not held against anybody.
func (d *day) apart(ctx context.Context, a *app) error {
	if !a.node {
		return nil
	}
	var info struct{ Isolation string }
	if err := d.person.ask(ctx, false, &info, "apps:info", a.name); err != nil || info.Isolation == "" {
		d.exposed.Do(func() { progress(" !     skipped: looking into other apps: nothing keeps apps apart here") })
		return nil
	}
	for _, path := range d.secrets(a) {
		text, err := d.visitor.call(ctx, false, "GET", a.name, "/peek?path="+path, "")
		var status statusError
		if err == nil {
			err := fmt.Errorf("%s can read %s: %.60q", a.name, path, text)
			d.broken(itself, "%v", err)
			return err
		}
		if !errors.As(err, &status) || status.status != 507 { // the app's own answer for what it cannot do
			d.broken(itself, "%s was not asked for %s: %v", a.name, path, err)
			return err
		}
		d.held(itself)
	}
	return nil
}

// secrets are files and folders that are none of a's business.
func (d *day) secrets(a *app) (paths []string) {
	paths = append(paths, filepath.Join(d.root, "ssh", "host_ed25519"), filepath.Join(d.root, "apps", a.name, "settings.json"),
		filepath.Join(d.root, "apps", a.name, "repo.git", "config"), fmt.Sprintf("/proc/%d/environ", d.server.pid()))
	for _, other := range d.apps {
		if other != a {
			of := filepath.Join(d.root, "apps", other.name)
			paths = append(paths, filepath.Join(of, "settings.json"), filepath.Join(of, "data"), filepath.Join(of, "logs"), filepath.Join(of, "builds"))
		}
	}
	for _, t := range tenants(d.root) {
		if of := t.env["PAAS_APP"]; of != "" && of != a.name {
			paths = append(paths, fmt.Sprintf("/proc/%d/environ", t.pid))
		}
	}
	return paths
}
