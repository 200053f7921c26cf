package main

import (
	"strings"
	"testing"
	"time"

	"paas/link"
)

// Lines of a front that come late have their time, and those that are lost are counted.
func TestFrontLines(t *testing.T) {
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lines frontLines
		after time.Duration
		want  string
	}{
		{frontLines{at, "a\nb\n", 0}, late, "a\nb\n"},
		{frontLines{at, "a\nb\n", 0}, time.Minute, "a at=2026-05-01T10:00:00.000Z\nb at=2026-05-01T10:00:00.000Z\n"},
		{frontLines{at, "a\n", 7}, 0, "7 requests are missing here: the front could not send their lines\na\n"},
	} {
		if got := c.lines.text(at.Add(c.after)); got != c.want {
			t.Errorf("%+v after %v: %q", c.lines, c.after, got)
		}
	}
	l := &frontLog{says: &link.Publisher{}, app: "blog"}
	for l.lost == 0 {
		l.Requests([]byte(strings.Repeat("a request\n", 1000)))
	}
	l.Requests([]byte("one\ntwo\n" + strings.Repeat("a request\n", 998)))
	if l.lost != 2000 {
		t.Errorf("%d lines are lost", l.lost)
	}
}
