package cron

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // an image may have no time zones of its own

	"github.com/adhocore/gronx"
)

// Schedule is when something is due. The zero value never is.
type Schedule struct {
	fields string // five of them
	hourly bool   // its hours begin with *
}

// field is one of the five.
type field struct {
	name      string
	low, high int
	words     []string // in place of numbers: the first stands for first
	first     int
}

var fields = []field{
	{name: "minute", high: 59},
	{name: "hour", high: 23},
	{name: "day of the month", low: 1, high: 31},
	{name: "month", low: 1, high: 12, first: 1, words: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
	{name: "day of the week", high: 7, words: strings.Fields("SUN MON TUE WED THU FRI SAT")},
}

// names stand for five fields (crontab(5)).
var names = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

const maxSchedule = 200 // bytes; a list of all sixty minutes fits

// Parse reads a schedule. Its error says which field is wrong, and how.
func Parse(text string) (Schedule, error) {
	if len(text) > maxSchedule {
		return Schedule{}, fmt.Errorf("a schedule of %d bytes; at most %d are read", len(text), maxSchedule)
	}
	if strings.HasPrefix(text, "@") {
		expanded, ok := names[strings.ToLower(text)]
		if !ok {
			return Schedule{}, fmt.Errorf("%q is none of @hourly, @daily, @weekly, @monthly and @yearly", text)
		}
		text = expanded
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return Schedule{}, fmt.Errorf("%q has %d fields, not the five: minute, hour, day of the month, month, day of the week", text, len(parts))
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

// item is one part of a field's list: *, 5, 5-9, mon-fri, and each with a step.
var item = regexp.MustCompile(`^(?:\*|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(?:/([0-9]{1,2}))?$`)

// check says what is wrong with a field. The library would let some mistakes pass, by the time of day.
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

// number is what a word of the field stands for.
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

// Next is the first moment after t at which it is due, by the clock of t's location; zero: never.
func (s Schedule) Next(t time.Time) time.Time {
	if s.fields == "" {
		return time.Time{}
	}
	loc := t.Location()
	t = t.Truncate(time.Minute).Add(time.Minute)
	for {
		n := s.steady(t)
		since, until := t.ZoneBounds()
		again := since.Add(offset(since.Add(-1)) - offset(since)) // until then the clock reads what it has read before
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

// steady is the first moment not before t at which it is due, of a clock that nobody puts forward or
// back. The library is asked for such alone: of others it leaves out or says again some ticks, and
// finds none at all behind a midnight that does not exist.
func (s Schedule) steady(t time.Time) time.Time {
	n, err := gronx.NextTickAfter(s.fields, t.In(time.FixedZone("", int(offset(t)/time.Second))), true)
	if err != nil {
		return time.Time{}
	}
	return n
}

// offset is how far the clock of t's location is before UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
