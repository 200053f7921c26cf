package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"paas/access"
	"paas/volume"
)

func eventRows() []Row {
	return []Row{
		Stream[eventsInput, volume.Event]{
			Head: Head{
				Name: "events", Group: Operate, Needs: access.Admin,
				Example: "blog -n 20 -t",
				Short:   "show who did what, and when",
			},
			Run:  showEvents,
			Text: func(p *Page) Teller[volume.Event] { return &eventPage{Page: p} },
		},
		Verb[struct{}, recording]{
			Head: Head{
				Name: "events:on", Group: Operate, Needs: access.Admin,
				Short: "record events again",
			},
			Run:  func(c *Call, _ struct{}) (recording, error) { return c.record(true) },
			Text: printRecording,
		},
		Verb[struct{}, recording]{
			Head: Head{
				Name: "events:off", Group: Operate, Needs: access.Admin,
				Short: "record no events, until events:on; the old ones stay",
			},
			Run:  func(c *Call, _ struct{}) (recording, error) { return c.record(false) },
			Text: printRecording,
		},
	}
}

// recording tells whether events are recorded.
type recording struct {
	On bool `json:"events_recorded"`
}

// record has events recorded, or not. The change is one of them either way.
func (c *Call) record(on bool) (recording, error) {
	if c.Volume.Recording() == on {
		return recording{on}, nil
	}
	if !on {
		c.did("", "")
	}
	err := c.Volume.SetRecording(on)
	if err == nil && on {
		c.did("", "")
	}
	return recording{on}, err
}

func printRecording(p *Page, r recording) {
	if r.On {
		p.line("events are recorded")
	} else {
		p.line("events are not recorded; events:on records them again")
	}
}

type eventsInput struct {
	App    string `json:"app" arg:"[APP]"`
	Number int    `json:"number" flag:"number,n" also:"num" value:"N" default:"50" help:"how many events to show, the newest last"`
	Tail   bool   `json:"tail" flag:"tail,t" also:"follow,f" help:"go on until interrupted"`
}

// needs asks for less for an app that the caller manages.
func (in *eventsInput) needs(c *Call) access.Right {
	if _, err := c.App(in.App); errors.Is(err, volume.ErrNoApp) { // admins see those of one destroyed
		return access.Admin
	}
	return access.Manage
}

// maxEvents is how many events are shown at most: they are in memory at once.
const maxEvents = 1_000_000

func showEvents(c *Call, in eventsInput, events Teller[volume.Event]) error {
	if in.Number < 1 || in.Number > maxEvents {
		return wrong("number", "-n is a number from 1 to %d", maxEvents)
	}
	if in.App != "" {
		if err := volume.CheckName(in.App); err != nil { // a destroyed app still has its events
			return err
		}
	}
	if !c.Volume.Recording() {
		c.warn("events are not recorded now; events:on records them again")
	}
	tell := func(batch []volume.Event) error {
		for _, e := range batch {
			if err := events.Tell(e); err != nil {
				return err
			}
		}
		return events.Flush()
	}
	if in.Tail {
		return c.whileRead(func(ctx context.Context) error {
			return c.Volume.FollowEvents(ctx, in.App, in.Number, tell)
		})
	}
	batch, err := c.Volume.Events(in.App, in.Number)
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		c.info("nothing yet")
	}
	return tell(batch)
}

// eventPage shows events as a table with a heading. Those that come later keep its columns.
type eventPage struct {
	*Page
	rows   [][]string // not shown yet
	widths []int      // of the columns; nil: nothing has been shown
}

func (e *eventPage) Tell(event volume.Event) error {
	e.rows = append(e.rows, []string{
		when(event.At), plain(event.By), plain(event.Did),
		orNone(plain(event.App)), orNone(plain(event.Note)),
	})
	return nil
}

func (e *eventPage) Flush() error {
	if len(e.rows) > 0 && e.widths == nil {
		e.rows = slices.Insert(e.rows, 0, []string{"AT", "BY", "DID", "APP", "NOTE"})
		e.widths = make([]int, len(e.rows[0]))
	}
	for _, row := range e.rows {
		for i, cell := range row {
			e.widths[i] = max(e.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range e.rows {
		line := ""
		for i, cell := range row {
			line += fmt.Sprintf("%-*s  ", e.widths[i], cell)
		}
		e.line("%s", strings.TrimRight(line, " "))
	}
	e.rows = nil
	return e.err
}
