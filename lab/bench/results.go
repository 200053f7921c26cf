//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// result is what one phase measured.
type result struct {
	phase   string
	figures figures
}

// row prints one row of the table.
type row func(what, ours, other, ratio, target string)

// printTable prints the results as one Markdown table.
func printTable(w io.Writer, all []result) {
	print := func(what, ours, other, ratio, target string) {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", what, ours, other, ratio, target)
	}
	print("what", "paas", "for comparison", "ratio", "target")
	print("---", "---", "---", "---", "---")
	for _, r := range all {
		r.figures.rows(print)
	}
}

// printJSON prints every measurement by phase, with durations in nanoseconds.
func printJSON(w io.Writer, all []result) error {
	by := map[string]figures{}
	for _, r := range all {
		by[r.phase] = r.figures
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(by)
}

// percentile returns the nearest-rank percentile of the values, p from 1 to 100. list must not be
// empty.
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

// itself is the value function for lists of durations.
func itself(d time.Duration) time.Duration { return d }

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms",
		float64(d)/float64(time.Millisecond))
}
func us(d time.Duration) string {
	return fmt.Sprintf("%.0f µs",
		float64(d)/float64(time.Microsecond))
}

func mb(resident, proportional float64) string {
	return fmt.Sprintf("%.1f / %.1f MB", resident, proportional)
}

func share(part, whole time.Duration) string {
	return fmt.Sprintf("%.2f %% of a core", 100*float64(part)/float64(whole))
}

func ratio[V float64 | time.Duration](a, b V) string {
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}
