package command

import (
	"fmt"
	"time"

	"paas/volume"
)

func eventRows() []Row {
	return []Row{
		Verb[eventsInput, []volume.Event]{
			Head: Head{
				Name: "events", Group: Operate, Needs: Admin,
				Example: "blog -n 20",
				Short:   "show who did what, and when",
			},
			Run: listEvents,
			Text: func(p *Page, events []volume.Event) {
				if len(events) == 0 {
					p.line("nothing yet")
					return
				}
				list(p, events, "AT\tBY\tDID\tAPP\tNOTE", func(e volume.Event) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", e.At.UTC().Format(time.RFC3339),
						plain(e.By), plain(e.Did), orNone(plain(e.App)), orNone(plain(e.Note)))
				})
			},
		},
	}
}

type eventsInput struct {
	App    string `json:"app" arg:"[APP]"`
	Number int    `json:"number" flag:"number,n" value:"N" default:"50" help:"how many events to show, the newest last"`
}

// maxEvents is how many events are shown at most: they are in memory at once.
const maxEvents = 1_000_000

func listEvents(c *Call, in eventsInput) ([]volume.Event, error) {
	if in.Number < 1 || in.Number > maxEvents {
		return nil, wrong("number", "-n is a number from 1 to %d", maxEvents)
	}
	if in.App != "" {
		if err := volume.CheckName(in.App); err != nil { // a destroyed app still has its events
			return nil, err
		}
	}
	return c.Volume.Events(in.App, in.Number)
}
