package command

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"paas/say"
)

// heard remembers what it is told.
type heard []Progress

func (h *heard) Tell(e Progress) error { *h = append(*h, e); return nil }

func (h *heard) Flush() error { return nil }

func TestProgressLog(t *testing.T) {
	var events heard
	out := progressLog{progress{&events}}
	say.Step(out, "Booting v1\nin the dark")
	io.WriteString(out, "one\n\ntwo\n")
	want := "[{step Booting v1} {detail in the dark} {output one} {output } {output two}]"
	var got []struct {
		Event ProgressEvent
		Text  string
	}
	for _, e := range events {
		got = append(got, struct {
			Event ProgressEvent
			Text  string
		}{e.Event, e.Text})
	}
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// What a line without an end has so far is told, not kept.
func TestProgressLogKeepsNoLine(t *testing.T) {
	var events heard
	out := progressLog{progress{&events}}
	for range 1000 {
		io.WriteString(out, strings.Repeat("x", 1000))
	}
	if len(events) != 1000 {
		t.Errorf("told %d of 1000 parts", len(events))
	}
}
