//go:build linux

package main

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"syscall"
)

// lastLooks end the day: what a kill and a graceful stop leave, and that all comes back from both.
func (d *day) lastLooks(ctx context.Context) {
	// SIGQUIT is a crash that says what all goroutines were doing.
	over := d.kill(ctx, syscall.SIGQUIT, true)
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
