package logs

import (
	"context"
	"slices"
	"time"
)

// Reading is one look at the logs of a folder: the last lines of all processes, in the order of their
// times, and with Follow what they print from then on. It holds a part of a line of each in
// memory, never more: what a slow reader has not yet read is on disk, and when it is rotated away
// there, the reader is told how many lines that were.
type Reading struct {
	Dir    string
	Of     func(process string) bool // nil: all of them
	Last   int                       // how many lines, of all together; negative: all there are
	Since  time.Time                 // none before; zero: no matter when
	Follow bool
	To     Reader
}

// Reader is who wants the lines. An error ends the reading.
type Reader interface {
	Line(Line) error // its text is good until Line returns
	Pause() error    // there is nothing more now
}

// pace is how often a log that is followed is looked at: people watch, nothing waits on it.
const pace = 50 * time.Millisecond

// Run returns when there is nothing more, or with Follow when ctx ends. The error is the reader's or
// the disk's, never ctx's.
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
	tick := time.NewTicker(pace)
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
		all = all.as(names, r.Dir)
		for _, s := range all {
			if err := s.look(); err != nil {
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

// round hands on what the sources have for now, without the first skip lines.
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

// sources are what a reading reads, by the processes' names.
type sources []*source

// earliest is the source with the line to come next; nil where none has one in this round.
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

// as is the sources of names: those of new processes begin with the first line, those of processes
// that have no log any more, such as one that ran once, are read to the end and closed.
func (all sources) as(names []string, dir string) sources {
	var now sources
	for _, s := range all {
		was := s.gone
		s.gone = !slices.Contains(names, s.process)
		if s.gone && was && !s.more() {
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
