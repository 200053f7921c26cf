package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
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
			Run:  func(c *Call, _ struct{}) (recording, error) { return c.recordEvents(true) },
			Text: printRecording,
		},
		Verb[struct{}, recording]{
			Head: Head{
				Name: "events:off", Group: Operate, Needs: access.Admin,
				Short: "record no events, until events:on; the old ones stay",
			},
			Run:  func(c *Call, _ struct{}) (recording, error) { return c.recordEvents(false) },
			Text: printRecording,
		},
	}
}

// recording tells whether events are recorded.
type recording struct {
	On bool `json:"events_recorded"`
}

// recordEvents has events recorded, or not. The change is one of them either way.
func (c *Call) recordEvents(on bool) (recording, error) {
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
	Number *int   `json:"number" flag:"number,n" also:"num" value:"N" help:"how many of the last events (default 50; with --since all of them)"`
	Since  string `json:"since" flag:"since" value:"TIME" help:"only what is not older: 10m, 2d, or a time in UTC such as 2026-11-25T10:00:00Z"`
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

func showEvents(c *Call, in eventsInput, events Teller[volume.Event]) (err error) {
	number, since := 50, time.Time{}
	if in.Since != "" {
		number = maxEvents
		if since, err = parseSince(in.Since, time.Now()); err != nil {
			return err
		}
	}
	if in.Number != nil {
		number = *in.Number
	}
	if number < 1 || number > maxEvents {
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
		from, err := c.eventsFrom(in.App) // with --tail it may be another app by now
		if err != nil {
			return err
		}
		for _, e := range batch {
			if e.At.Before(since) || e.At.Before(from) {
				continue
			}
			if err := events.Tell(e); err != nil {
				return err
			}
		}
		return events.Flush()
	}
	if in.Tail {
		return c.whileRead(func(ctx context.Context) error {
			return c.Volume.FollowEvents(ctx, in.App, number, tell)
		})
	}
	batch, err := c.Volume.Events(in.App, number)
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		c.info("nothing yet")
	}
	return tell(batch)
}

// eventsFrom returns from when on the caller may see the events of the name: those of an earlier app
// of that name are for admins.
func (c *Call) eventsFrom(name string) (time.Time, error) {
	if c.isAdmin() {
		return time.Time{}, nil
	}
	app, err := c.Rights.Admit(c.Caller.Identity, access.Manage, name)
	if err != nil {
		return time.Time{}, err
	}
	return app.Named(), nil
}

// eventPage shows events as a table with a heading. Those that come later keep its columns.
type eventPage struct {
	*Page
	rows   [][]string // not shown yet
	widths []int      // of the columns; nil: nothing has been shown
}

func (e *eventPage) Tell(event volume.Event) error {
	e.rows = append(e.rows, []string{
		when(event.At), plain(event.By), orNone(via(event)), plain(event.Did),
		orNone(plain(event.App)), orNone(string(event.End)), orNone(plain(event.Note)),
	})
	return nil
}

// via is how somebody came: the door, the address, and the beginning of the key or token.
func via(e volume.Event) string {
	kind, id, _ := strings.Cut(e.With, " ")
	id = strings.TrimPrefix(id, "SHA256:")
	return strings.TrimSpace(plain(fmt.Sprintf("%s %s %s %s", e.Via, e.From, kind, id[:min(8, len(id))])))
}

func (e *eventPage) Flush() error {
	if len(e.rows) > 0 && e.widths == nil {
		e.rows = slices.Insert(e.rows, 0, []string{"AT", "BY", "VIA", "DID", "APP", "END", "NOTE"})
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
