//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// results are all figures of one run; what was not measured is nil.
type results struct {
	Push    *pushResult    `json:",omitempty"` // durations are nanoseconds
	OneFile *pushResult    `json:",omitempty"` // the same, of an app of one file
	Load    *loadResult    `json:",omitempty"`
	Memory  *memoryResult  `json:",omitempty"`
	Router  *routerResult  `json:",omitempty"`
	Sidecar *sidecarResult `json:",omitempty"`
	Watch   *watchResult   `json:",omitempty"`
	Logs    *logsResult    `json:",omitempty"`

	Rollback  *rollbackResult  `json:",omitempty"`
	Reinstall *reinstallResult `json:",omitempty"`
	Formation *formationResult `json:",omitempty"`

	Sleep     *sleepResult     `json:",omitempty"`
	Sleepers  *sleepersResult  `json:",omitempty"`
	Isolation *isolationResult `json:",omitempty"`
	Builds    *buildsResult    `json:",omitempty"`
	Growth    *growthResult    `json:",omitempty"`
}

// percentile is the nearest-rank percentile, p from 1 to 100; it needs at least one value.
func percentile[T any, V int64 | float64 | time.Duration](list []T, value func(T) V, p int) V {
	var values []V
	for _, item := range list {
		values = append(values, value(item))
	}
	slices.Sort(values)
	return values[max(0, (len(values)*p+99)/100-1)]
}

func median[T any, V int64 | float64 | time.Duration](list []T, value func(T) V) V {
	return percentile(list, value, 50)
}

// rows prints what pushes of an app came to.
func (p *pushResult) rows(row func(what, ours, other, ratio, target string), app string) {
	live := func(p push) time.Duration { return p.Live }
	returned := func(p push) time.Duration { return p.Returned }
	self := func(d time.Duration) time.Duration { return d }
	compare := func(what string, ours, floor time.Duration, target string) {
		row(app+what, ms(ours), ms(floor)+" (floor)", fmt.Sprintf("%.2f", float64(ours)/float64(floor)), target)
	}
	compare(fmt.Sprintf("push to live, median of %d", len(p.Ours)), median(p.Ours, live), median(p.Floor, live), "at most 0.45")
	compare("push to live, 90th percentile", percentile(p.Ours, live, 90), percentile(p.Floor, live, 90), "")
	compare("`git push` returns, median", median(p.Ours, returned), median(p.Floor, returned), "")
	row(app+"a push over OpenSSH without a hook, median", "", ms(median(p.Plain, self)), "", "")
	row(app+"node, from start to first answer, median", "", ms(median(p.Boot, self)), "", "")
}

// table prints the results as one Markdown table.
func (r results) table(w io.Writer) {
	row := func(what, ours, other, ratio, target string) {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", what, ours, other, ratio, target)
	}
	row("what", "paas", "for comparison", "ratio", "target")
	row("---", "---", "---", "---", "---")
	if p := r.Push; p != nil {
		p.rows(row, "")
	}
	if p := r.OneFile; p != nil {
		p.rows(row, "one file: ")
	}
	if l := r.Load; l != nil {
		failed := func(v visits) string { return fmt.Sprintf("%d of %d", v.Failed, v.Requests) }
		row(fmt.Sprintf("failed requests at %d/s, %d deploys", perSecond, l.Deploys), failed(l.Ours), failed(l.Floor)+" (floor)", "", "0")
		row("slowest answer meanwhile", ms(l.Ours.Slowest), ms(l.Floor.Slowest)+" (floor)", "", "")
	}
	if m := r.Memory; m != nil {
		reading := func(what string, one memory, target string) {
			row(fmt.Sprintf("memory with %s, %.0f s after the push", what, one.After.Seconds()),
				fmt.Sprintf("%.1f MB resident, %.1f proportional", one.Resident, one.Proportional), "", "", target)
		}
		reading("1 idle app", m.One, "at most 30 MB")
		reading(fmt.Sprintf("%d idle apps", m.Apps), m.Many, "")
		more := float64(m.Apps - 1)
		row("memory for each app more", fmt.Sprintf("%.2f MB resident, %.2f proportional",
			(m.Many.Resident-m.One.Resident)/more, (m.Many.Proportional-m.One.Proportional)/more), "", "", "at most 0.3 MB")
	}
	if r := r.Router; r != nil {
		speed := func(r rate) float64 { return r.PerSecond }
		p99 := func(r rate) time.Duration { return r.P99 }
		cost := func(r rate) time.Duration { return r.CPU }
		ours, untuned, direct := median(r.Router, speed), median(r.Untuned, speed), median(r.Direct, speed)
		row(fmt.Sprintf("requests a second, %d connections", connections), fmt.Sprintf("%.0f", ours),
			fmt.Sprintf("%.0f (untuned proxy)", untuned), fmt.Sprintf("%.2f", ours/untuned), "at least 2.5")
		row("the same, against the app itself", fmt.Sprintf("%.0f", ours), fmt.Sprintf("%.0f (direct)", direct), fmt.Sprintf("%.2f", ours/direct), "")
		row("99th percentile", ms(median(r.Router, p99)),
			fmt.Sprintf("%s (untuned), %s (direct)", ms(median(r.Untuned, p99)), ms(median(r.Direct, p99))), "", "")
		row("processor time a request", us(median(r.Router, cost)), us(median(r.Untuned, cost))+" (untuned proxy)",
			fmt.Sprintf("%.2f", float64(median(r.Router, cost))/float64(median(r.Untuned, cost))), "")
	}
	if s := r.Sidecar; s != nil {
		s.rows(row)
	}
	if w := r.Watch; w != nil {
		w.rows(row)
	}
	if r := r.Rollback; r != nil {
		r.rows(row)
	}
	if r := r.Reinstall; r != nil {
		r.rows(row)
	}
	if l := r.Logs; l != nil {
		l.rows(row)
	}
	if f := r.Formation; f != nil {
		f.rows(row)
	}
	if s := r.Sleep; s != nil {
		s.rows(row)
	}
	if s := r.Sleepers; s != nil {
		s.rows(row)
	}
	if i := r.Isolation; i != nil {
		i.rows(row)
	}
	if b := r.Builds; b != nil {
		b.rows(row)
	}
	if g := r.Growth; g != nil {
		g.rows(row)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
func us(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond)) }
