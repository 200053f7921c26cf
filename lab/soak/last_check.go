//go:build linux

package main

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"syscall"
)

// lastChecks checks what a crash and a graceful stop leave behind, and that everything comes back
// after the crash.
func (d *day) lastChecks(ctx context.Context) {
	// SIGQUIT is a crash that prints all goroutines.
	over := d.kill(ctx, syscall.SIGQUIT, true)
	d.goroutines = d.count()
	if most := 60 + 40*len(d.apps); d.goroutines > most {
		d.broken(nothingLeft, "there were %d goroutines at rest; the end of server.log has them",
			d.goroutines)
	}
	d.revive(ctx, over)
	d.check(ctx)
	if ctx.Err() != nil {
		return
	}
	d.tidied(ctx)
	d.outage("the end")
	d.stopGracefully(true)
}

var goroutineLine = regexp.MustCompile(`^goroutine \d+ .*\[`)

// count returns the number of goroutines at the end of the server's log.
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
