//go:build linux

package main

import (
	"fmt"
	"time"
)

func (r *sidecarResult) rows(print row) {
	ours := r.Idle[0]
	targets := map[string]string{"git pull": "below 1 ms, at most 0.10"}
	for _, other := range r.Idle[1:] {
		print(fmt.Sprintf("processor time of an empty poll, %d in %.0f s", ours.Polls,
			idleTime.Seconds()),
			us(ours.perPoll()), fmt.Sprintf("%s (%s)", us(other.perPoll()), other.Name),
			fmt.Sprintf("%.3f", float64(ours.perPoll())/float64(other.perPoll())), targets[other.Name])
	}
	print("the same, less what a sidecar without a source uses meanwhile",
		us(ours.perPoll()-r.Base.perPoll()), "", "", "")
	for _, other := range r.Idle[1:] {
		print("memory meanwhile, resident / proportional", mb(ours.Resident, ours.Proportional),
			fmt.Sprintf("%s (%s)", mb(other.Resident, other.Proportional), other.Name), "", "")
	}
	for i, name := range r.Files.Names[1:] {
		ours, other := r.Files.Took[0], r.Files.Took[i+1]
		print(fmt.Sprintf("change to files, polling each second, median of %d", len(ours)),
			ms(median(ours, itself)), fmt.Sprintf("%s (%s)", ms(median(other, itself)), name),
			ratio(median(ours, itself), median(other, itself)), "")
		print("the longest of them", ms(percentile(ours, itself, 100)),
			fmt.Sprintf("%s (%s)", ms(percentile(other, itself, 100)), name), "", "")
	}
	pushed := func(p push) time.Duration { return p.Live }
	live := func(what string, took []time.Duration, p int, period time.Duration, target string) {
		path := percentile(r.Live.Pushed, pushed, p)
		print(what, ms(percentile(took, itself, p)), ms(path)+" (push to paas)",
			ratio(percentile(took, itself, p), period+path), target)
	}
	live(fmt.Sprintf("change to live, polling each second, median of %d; ratio to 1 s and the push",
		len(r.Live.Polled)), r.Live.Polled, 50, everySecond, "")
	live("the longest of them", r.Live.Polled, 100, everySecond, "at most 1")
	live("change to live, with a webhook, median; ratio to the push", r.Live.Hooked, 50, 0, "")
	m := r.Many
	print(fmt.Sprintf("%d sources each %.0f s: processor time of one core", m.Sources,
		manyEvery.Seconds()),
		fmt.Sprintf("%.2f %%, %d polls in %.0f s", 100*float64(m.CPU)/float64(m.Took), m.Polls,
			m.Took.Seconds()), "", "", "below 2 %")
	print("memory meanwhile, resident / proportional", mb(m.Memory.Resident, m.Memory.Proportional),
		"", "", "below 60 MB")
	print("open sockets meanwhile", fmt.Sprint(m.Sockets), "", "", "")
	torn := func(v readings) string {
		return fmt.Sprintf("%d of %d, commits: %d", v.Torn, v.Reads,
			v.Commits)
	}
	print(fmt.Sprintf("torn reads while commits of %d files land", r.Torn.Files), torn(r.Torn.Ours),
		torn(r.Torn.Pull)+" (git pull)", "", "0 of 100000")
}
