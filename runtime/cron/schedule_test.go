package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
)

const minute = "2006-01-02 15:04 -0700"

// at parses a time in a zone.
func at(t testing.TB, zone, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	moment, err := time.Parse(minute, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment.In(loc)
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ schedule, after, want string }{
		{"*/10 * * * *", "2026-11-25 10:00 +0000", "2026-11-25 10:10 +0000"},
		{"* * * * *", "2026-12-31 23:59 +0000", "2027-01-01 00:00 +0000"},
		{"0 4 * * *", "2026-11-25 04:00 +0000", "2026-11-26 04:00 +0000"},
		{"30 9 * * mon-fri", "2026-11-27 10:00 +0000", "2026-11-30 09:30 +0000"}, // over a weekend
		{"0 0 * * 7", "2026-11-25 00:00 +0000", "2026-11-29 00:00 +0000"},
		{"0 0 31 * *", "2026-11-25 00:00 +0000", "2026-12-31 00:00 +0000"},
		{"0 0 29 feb *", "2026-11-25 00:00 +0000", "2028-02-29 00:00 +0000"},
		{"0 0 13 * FRI", "2026-11-25 00:00 +0000", "2026-11-27 00:00 +0000"}, // either day matches
		{"5-20/5,50 1,13 * * *", "2026-11-25 13:20 +0000", "2026-11-25 13:50 +0000"},
		{"@hourly", "2026-11-25 10:00 +0000", "2026-11-25 11:00 +0000"},
		{"@Daily", "2026-11-25 10:00 +0000", "2026-11-26 00:00 +0000"},
		{"@midnight", "2026-11-25 10:00 +0000", "2026-11-26 00:00 +0000"},
		{"@weekly", "2026-11-25 10:00 +0000", "2026-11-29 00:00 +0000"},
		{"@monthly", "2026-11-25 10:00 +0000", "2026-12-01 00:00 +0000"},
		{"@yearly", "2026-11-25 10:00 +0000", "2027-01-01 00:00 +0000"},
		{"@annually", "2026-11-25 10:00 +0000", "2027-01-01 00:00 +0000"},
		{" 0\t12  * * * ", "2026-11-25 10:00 +0000", "2026-11-25 12:00 +0000"},
	} {
		s, err := Parse(c.schedule)
		if err != nil {
			t.Errorf("%s: %v", c.schedule, err)
			continue
		}
		for _, seconds := range []time.Duration{0, time.Second, time.Minute - 1} {
			after := at(t, "UTC", c.after).Add(seconds)
			if got := s.Next(after).Format(minute); got != c.want {
				t.Errorf("%s after %v: %s, want %s", c.schedule, after, got, c.want)
			}
		}
	}
	if next := (Schedule{}).Next(time.Now()); !next.IsZero() {
		t.Error(next)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                          `"" has 0 fields`,
		"* * * *":                   "has 4 fields, not the five",
		"0 * * * * *":               "has 6 fields", // seconds
		"0 0 1 1 * 2027":            "has 6 fields",
		"@everysecond":              "is not one of @hourly",
		"@reboot":                   "is not one of @hourly",
		"@":                         "is not one of @hourly",
		"61 * * * *":                `minute "61": 61 is not between 0 and 59`,
		"*,60 * * * *":              `minute "*,60": 60 is not`,
		"0-60 * * * *":              "60 is not between",
		"0 24 * * *":                `hour "24"`,
		"0 0 0 * *":                 `day of the month "0": 0 is not between 1 and 31`,
		"0 0 * 13 *":                `month "13"`,
		"0 0 * * 8":                 `day of the week "8"`,
		"0 0 * * fri-mon":           "5 to 1 ends before it begins",
		"0 22-4 * * *":              "22 to 4 ends before it begins",
		"*/0 * * * *":               "a step of 0",
		"mon * * * *":               "MON is not a minute",
		"0 0 * mon *":               "MON is not a month",
		"0 0 * * jan":               "JAN is not a day of the week",
		"1-5-7 * * * *":             "not a number, a range, a list or *",
		"1, * * * *":                "not a number",
		"-1 * * * *":                "not a number",
		"*/* * * * *":               "not a number",
		"0 0 L * *":                 "not a number",
		"0 0 31 2 *":                "there is no such day",
		"0 0 31 4,6,9,11 *":         "there is no such day",
		"$(id) * * * *":             "not a number",
		strings.Repeat("1,", 150):   "the maximum is 200",
		"\u0661 * * * *":            "not a number",
		"999999999999999 * * * * ":  "not a number",
		"0 0 * * mon#2":             "not a number",
		"0 0 1 1 *\n0 0 1 1 * true": "has 11 fields",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Clock changes, as described in package cron's doc.
func TestChangesOfTheClock(t *testing.T) {
	for _, c := range []struct{ zone, schedule, after, want string }{
		// Berlin, 29 March: 02:00 to 03:00 is skipped.
		{"Europe/Berlin", "30 2 * * *", "2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"},
		{"Europe/Berlin", "*/30 2 * * *", "2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "*/30 * * * *", "2026-03-29 01:30 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "15 * * * *", "2026-03-29 01:15 +0100", "2026-03-29 03:15 +0200"},
		// 25 October: 02:00 to 03:00 is repeated.
		{"Europe/Berlin", "30 2 * * *", "2026-10-24 02:30 +0200", "2026-10-25 02:30 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"},
		{"Europe/Berlin", "30 * * * *", "2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100"},
		{"Europe/Berlin", "*/10 * * * *", "2026-10-25 02:50 +0200", "2026-10-25 02:00 +0100"},
		{"Europe/Berlin", "0 3 * * *", "2026-10-25 02:30 +0100", "2026-10-25 03:00 +0100"},
		// Santiago and Havana, where midnight does not exist.
		{"America/Santiago", "0 3 * * 0", "2026-08-30 03:00 -0400", "2026-09-06 03:00 -0300"},
		{"America/Santiago", "@daily", "2026-09-05 00:00 -0400", "2026-09-06 01:00 -0300"},
		{"America/Havana", "0 0 1 * *", "2026-03-01 00:00 -0500", "2026-04-01 00:00 -0400"},
		// Half an hour on Lord Howe, a whole day in Samoa.
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 01:45 +1100", "2026-04-05 01:45 +1100"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"},
		{"Pacific/Apia", "0 12 * * *", "2011-12-29 12:00 -1000", "2011-12-31 00:00 +1400"},
	} {
		s, err := Parse(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(at(t, c.zone, c.after)).Format(minute); got != c.want {
			t.Errorf("%s in %s after %s: %s, want %s", c.schedule, c.zone, c.after, got, c.want)
		}
	}
}

// Around each change of a year, Next agrees with a reader of the clock who looks at each minute.
func TestTicksAroundChanges(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"} {
		for _, schedule := range []string{"*/20 * * * *", "30 2 * * *", "0,30 0-3 * * *", "0 0 * * 0"} {
			s, err := Parse(schedule)
			if err != nil {
				t.Fatal(err)
			}
			_, change := at(t, zone, "2026-01-01 00:00 +0000").ZoneBounds()
			for range 2 {
				start := change.Add(-5 * time.Hour)
				next := s.Next(start)
				for _, want := range ticks(t, s, start, 29*time.Hour) {
					if !next.Equal(want) {
						t.Errorf("%s in %s: %v, want %v", schedule, zone, next, want)
						break
					}
					next = s.Next(next)
				}
				_, change = change.ZoneBounds()
			}
		}
	}
}

// ticks returns when the schedule is due for a reader who looks at the clock each minute from start
// on.
func ticks(t *testing.T, s Schedule, start time.Time, during time.Duration) (due []time.Time) {
	t.Helper()
	const clock = "2006-01-02 15:04"
	reads := func(now time.Time) time.Time { // as if it were UTC, which has no changes
		wall, err := time.Parse(clock, now.Format(clock))
		if err != nil {
			t.Fatal(err)
		}
		return wall
	}
	matches := func(wall time.Time) bool {
		is, err := gronx.New().IsDue(s.fields, wall)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	read := map[time.Time]bool{}
	before := reads(start)
	for now := start.Add(time.Minute); now.Before(start.Add(during)); now = now.Add(time.Minute) {
		wall := reads(now)
		is := matches(wall) && (s.hourly || !read[wall])
		for left := before.Add(time.Minute); left.Before(wall); left = left.Add(time.Minute) {
			is = is || !s.hourly && matches(left)
		}
		if is {
			due = append(due, now)
		}
		read[wall], before = true, wall
	}
	return due
}

func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{"*/10 * * * *", "0 0 29 2 *", "@daily", "1-5,7 0/3 * jan-mar sun",
		"0 0 31 2 *", "0 0 * * 7-7/7"} {
		f.Add(seed, int64(1_790_000_000))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		s, err := Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("%q: not one line: %q", text, err)
			}
			return
		}
		after := time.Unix(seconds%(1<<33), 0).In(berlin)
		next := s.Next(after)
		if !next.After(after) || next.Second() != 0 || next.Sub(after) > 9*366*24*time.Hour {
			t.Fatalf("%q after %v: %v", text, after, next)
		}
	})
}
