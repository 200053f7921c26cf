package sidecar

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// meter counts what a follower does.
type meter struct {
	mu       sync.Mutex
	polls    int
	missed   int // polls without an answer
	polling  time.Duration
	syncs    int
	syncing  time.Duration
	success  time.Time // of the last poll or sync that left nothing to try again
	verdicts map[string]int
}

func (m *meter) polled(err error, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polls++
	m.polling += took
	if err != nil {
		m.missed++
	}
}

func (m *meter) synced(r result, err error, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs++
	m.syncing += took
	label := string(r)
	if err != nil {
		label = "error"
	}
	if label == "" { // nothing was done
		return
	}
	if m.verdicts == nil {
		m.verdicts = map[string]int{}
	}
	m.verdicts[label]++
}

func (m *meter) succeeded(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.success = at
}

// metric is one family of the text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/
type metric struct {
	name, kind, help string
	samples          func(m *meter) []sample
}

type sample struct {
	suffix string // of the name
	labels string // after app; begins with a comma
	value  float64
}

func one(value float64) []sample { return []sample{{"", "", value}} }

// summary is a sum and a count, which is all a summary has to have.
func summary(sum time.Duration, count int) []sample {
	return []sample{{"_sum", "", sum.Seconds()}, {"_count", "", float64(count)}}
}

var metrics = []metric{
	{"paas_source_look_seconds", "summary", "Polls of the source, and the time they took.",
		func(m *meter) []sample { return summary(m.polling, m.polls) }},
	{"paas_source_look_failures_total", "counter", "Polls that the source did not answer.",
		func(m *meter) []sample { return one(float64(m.missed)) }},
	{
		"paas_source_last_success_timestamp_seconds",
		"gauge",
		"When a poll or sync last left nothing to try again.",
		func(m *meter) []sample {
			if m.success.IsZero() {
				return nil
			}
			return one(float64(m.success.UnixMilli()) / 1000)
		},
	},
	{
		"paas_source_sync_seconds",
		"summary",
		"Syncs after a poll that found something to do, and the time they took, with the deploy.",
		func(m *meter) []sample { return summary(m.syncing, m.syncs) },
	},
	{
		"paas_source_deploys_total",
		"counter",
		"Results of commits: live; failed: did not build or boot; " +
			"refused: no release can be made of it; error: tried again.",
		func(m *meter) (samples []sample) {
			for _, result := range slices.Sorted(maps.Keys(m.verdicts)) {
				samples = append(
					samples,
					sample{"", `,result="` + label(result) + `"`, float64(m.verdicts[result])},
				)
			}
			return samples
		},
	},
}

func (s *Sidecar) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.mu.Lock()
	meters := make(map[string]*meter, len(s.followers))
	for app, f := range s.followers {
		if !f.stopped {
			meters[app] = &f.meter
		}
	}
	s.mu.Unlock()
	fmt.Fprintf(
		w,
		"# HELP paas_sources Sources that are followed.\n# TYPE paas_sources gauge\npaas_sources %d\n",
		len(meters),
	)
	write(w, meters)
}

func write(w io.Writer, meters map[string]*meter) {
	apps := slices.Sorted(maps.Keys(meters))
	for _, family := range metrics {
		fmt.Fprintf(
			w, "# HELP %s %s\n# TYPE %s %s\n", family.name, family.help, family.name, family.kind,
		)
		for _, app := range apps {
			m := meters[app]
			m.mu.Lock()
			samples := family.samples(m)
			m.mu.Unlock()
			for _, v := range samples {
				fmt.Fprintf(
					w, "%s%s{app=\"%s\"%s} %s\n", family.name, v.suffix, label(app), v.labels,
					strconv.FormatFloat(v.value, 'f', -1, 64),
				)
			}
		}
	}
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label is text as the value of a label.
func label(text string) string { return escaped.Replace(text) }
