package logs

import (
	"context"
	"slices"
	"time"
)

// Reading reads the logs of a folder once: the last lines of all processes in order of time, and
// with Follow what they print from then on. It keeps only part of a line of each in memory. Lines
// that a slow reader has not read yet are on disk; if a rotation deletes them, the reader is told
// how many.
type Reading struct {
	Dir    string
	Of     func(process string) bool // selects processes; nil: all
	Last   int                       // number of lines of all processes together; negative: all
	Since  time.Time                 // no lines before; zero: any
	Follow bool
	To     Reader
}

// Reader receives the lines. An error ends the reading.
type Reader interface {
	Line(Line) error // its Text is valid until Line returns
	Pause() error    // there are no more lines for now
}

// pollInterval is how often a followed log is checked. Only people watch, so it need not be
// shorter.
const pollInterval = 50 * time.Millisecond

// Run returns when there are no more lines, or with Follow when ctx ends. The error is the reader's
// or the disk's, never ctx's.
func (r *Reading) Run(ctx context.Context) error {
	var all sources
	defer func() { all.close() }()
	names, err := r.names()
	if err != nil {
		return err
	}
	skip := -max(r.Last, 0)
	for _, name := range names {
		s := newSource(r.Dir, name, r.Follow)
		all = append(all, s)
		count, err := s.begin(r.Last, r.Since)
		if err != nil {
			return err
		}
		skip += count
	}
	if r.Last < 0 {
		skip = 0
	}
	if err := r.round(ctx, all, skip); err != nil || !r.Follow || ctx.Err() != nil {
		return err
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if names, err = r.names(); err != nil {
			return err
		}
		all = all.update(names, r.Dir)
		for _, s := range all {
			if err := s.startRound(); err != nil {
				return err
			}
		}
		if err := r.round(ctx, all, 0); err != nil {
			return err
		}
	}
}

func (r *Reading) names() ([]string, error) {
	names, err := Processes(r.Dir)
	if r.Of != nil {
		names = slices.DeleteFunc(names, func(name string) bool { return !r.Of(name) })
	}
	return names, err
}

// round passes on the lines that the sources have now, without the first skip lines.
func (r *Reading) round(ctx context.Context, all sources, skip int) error {
	any := false
	for ctx.Err() == nil {
		s, err := all.earliest()
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		line := s.take()
		if skip--; skip >= 0 || line.Time.Before(r.Since) {
			continue
		}
		any = true
		if err := r.To.Line(line); err != nil {
			return err
		}
	}
	if any {
		return r.To.Pause()
	}
	return nil
}

// sources are the logs that a reading reads, ordered by process.
type sources []*source

// earliest returns the source with the next line, or nil if there is none in this round.
func (all sources) earliest() (first *source, err error) {
	for _, s := range all {
		if ok, err := s.peek(); err != nil {
			return nil, err
		} else if ok && (first == nil || s.line.Time.Before(first.line.Time)) {
			first = s
		}
	}
	return first, nil
}

// update returns the sources for names. A new process is read from its first line. A process whose
// log was removed, such as a one-off command, is read to the end and closed.
func (all sources) update(names []string, dir string) sources {
	var now sources
	for _, s := range all {
		wasGone := s.gone
		s.gone = !slices.Contains(names, s.process)
		if s.gone && wasGone && !s.more() {
			s.close()
			continue
		}
		now = append(now, s)
	}
	for _, name := range names {
		if !slices.ContainsFunc(now, func(s *source) bool { return s.process == name }) {
			now = append(now, newSource(dir, name, true))
		}
	}
	slices.SortFunc(now, func(a, b *source) int { return Compare(a.process, b.process) })
	return now
}

func (all sources) close() {
	for _, s := range all {
		s.close()
	}
}
