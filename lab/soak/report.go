//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// report prints what was done and seen.
func (d *day) report(w io.Writer) {
	fmt.Fprintf(w, "soak: seed %d, %d rounds in %v\n\n", d.Seed, d.rounds,
		time.Since(d.began).Round(time.Second))
	counted := func(title string, of map[string]int) {
		fmt.Fprintf(w, "%s:", title)
		for i, name := range sorted(of) {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, " %s %d", name, of[name])
		}
		fmt.Fprintln(w)
	}
	counted("happened", d.disruptions)
	counted("done", d.done)
	counted("outcomes", d.outcomes)
	d.visits.mu.Lock()
	fmt.Fprintf(w, "visitors: %d answers, the slowest after %v; %d visits to stopped or missing apps\n",
		d.visits.Served, d.visits.Slowest.Round(time.Millisecond), d.visits.Unserved)
	counted("failed and excused", d.visits.Excused)
	d.visits.mu.Unlock()
	fmt.Fprintln(w)
	for i, l := range d.lives {
		if l.checks > 1 {
			fmt.Fprintf(w, "server %d: files %d to %d, sockets %d to %d, threads %d to %d, ",
				i+1, l.first.Files, l.last.Files, l.first.Sockets, l.last.Sockets,
				l.first.Threads, l.last.Threads)
			fmt.Fprintf(w, "%.0f to %.0f MB resident in %d checks\n",
				float64(l.first.Resident)/1024, float64(l.last.Resident)/1024, l.checks)
		}
	}
	if d.goroutines >= 0 {
		fmt.Fprintf(w, "goroutines at the last check: %d\n", d.goroutines)
	}
	fmt.Fprintln(w)
	d.findings.report(w)
}
