package cron

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // an image may lack time zones

	"github.com/adhocore/gronx"
)

// Schedule is when something is due. The zero Schedule is never due.
type Schedule struct {
	fields string // five fields
	hourly bool   // the hour field begins with *
}

// field describes one of the five fields.
type field struct {
	name      string
	low, high int
	words     []string // names of numbers, beginning with first
	first     int
}

var fields = []field{
	{name: "minute", high: 59},
	{name: "hour", high: 23},
	{name: "day of the month", low: 1, high: 31},
	{name: "month", low: 1, high: 12, first: 1,
		words: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
	{name: "day of the week", high: 7, words: strings.Fields("SUN MON TUE WED THU FRI SAT")},
}

// names are short forms of five fields (crontab(5)).
var names = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

const maxSchedule = 200 // bytes; enough for a list of all sixty minutes

// Parse parses a schedule. Its error names the field and the mistake.
func Parse(text string) (Schedule, error) {
	if len(text) > maxSchedule {
		return Schedule{}, fmt.Errorf("a schedule of %d bytes; the maximum is %d", len(text), maxSchedule)
	}
	if strings.HasPrefix(text, "@") {
		expanded, ok := names[strings.ToLower(text)]
		if !ok {
			const shorts = "@hourly, @daily, @weekly, @monthly and @yearly"
			return Schedule{}, fmt.Errorf("%q is not one of %s", text, shorts)
		}
		text = expanded
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return Schedule{}, fmt.Errorf("%q has %d fields, not the five: "+
			"minute, hour, day of the month, month, day of the week", text, len(parts))
	}
	for i, f := range fields {
		if err := f.check(parts[i]); err != nil {
			return Schedule{}, fmt.Errorf("%s %q: %w", f.name, parts[i], err)
		}
	}
	s := Schedule{fields: strings.ToUpper(strings.Join(parts, " ")), hourly: parts[1][0] == '*'}
	if s.Next(time.Unix(0, 0).UTC()).IsZero() {
		return Schedule{}, fmt.Errorf("%q: there is no such day", text)
	}
	return s, nil
}

// item matches one part of a field's list: *, 5, 5-9 or mon-fri, each with an optional step.
var item = regexp.MustCompile(`^(?:\*|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(?:/([0-9]{1,2}))?$`)

// check returns an error if a field is wrong. The library accepts some wrong fields, depending on
// the time of day.
func (f field) check(text string) error {
	for part := range strings.SplitSeq(strings.ToUpper(text), ",") {
		m := item.FindStringSubmatch(part)
		if m == nil {
			return errors.New("not a number, a range, a list or *")
		}
		var bounds []int
		for _, end := range m[1:3] {
			if end == "" {
				continue
			}
			n, err := f.number(end)
			if err != nil {
				return err
			}
			bounds = append(bounds, n)
		}
		if len(bounds) == 2 && bounds[0] > bounds[1] {
			return fmt.Errorf("%d to %d ends before it begins", bounds[0], bounds[1])
		}
		if step := m[3]; step != "" && strings.Trim(step, "0") == "" {
			return errors.New("a step of 0")
		}
	}
	return nil
}

// number returns the number for a word of the field.
func (f field) number(word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil {
		at := slices.Index(f.words, word)
		if at < 0 {
			return 0, fmt.Errorf("%s is not a %s", word, f.name)
		}
		n = f.first + at
	}
	if n < f.low || n > f.high {
		return 0, fmt.Errorf("%d is not between %d and %d", n, f.low, f.high)
	}
	return n, nil
}

// Next returns the first time after t at which the schedule is due, in t's time zone; zero: never.
func (s Schedule) Next(t time.Time) time.Time {
	if s.fields == "" {
		return time.Time{}
	}
	loc := t.Location()
	t = t.Truncate(time.Minute).Add(time.Minute)
	for {
		n := s.steady(t)
		since, until := t.ZoneBounds()
		again := since.Add(offset(since.Add(-1)) - offset(since)) // until then the clock repeats times
		switch {
		case n.IsZero():
			return n
		case !until.IsZero() && !n.Before(until):
			if leap := offset(until) - offset(until.Add(-1)); !s.hourly && n.Before(until.Add(leap)) {
				return until
			}
			t = until
		case !s.hourly && !since.IsZero() && n.Before(again):
			t = again
		default:
			return n.In(loc)
		}
	}
}

// steady returns the first time not before t at which the schedule is due, for a clock without
// changes. The library is used only for such clocks: at changes it skips or repeats times, and
// after a midnight that does not exist it finds none.
func (s Schedule) steady(t time.Time) time.Time {
	n, err := gronx.NextTickAfter(s.fields, t.In(time.FixedZone("", int(offset(t)/time.Second))), true)
	if err != nil {
		return time.Time{}
	}
	return n
}

// offset returns how far the clock of t's location is behind UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
