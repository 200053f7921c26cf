package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"paas/volume"
)

var eventVerbs = []verb{
	{use: "events [APP] [-n N]", short: "show who did what, and when", args: args(0, 1), admin: true, run: listEvents,
		flags: func(cmd *cobra.Command) {
			withFormat(cmd)
			cmd.Flags().IntP("number", "n", 50, "how many events to show, the newest last")
		}},
}

// maxEvents is how many events are shown at most; they are held in memory.
const maxEvents = 1_000_000

func listEvents(c *call) error {
	n, _ := c.cmd.Flags().GetInt("number")
	if n < 1 || n > maxEvents {
		return usageError{fmt.Errorf("-n is a number from 1 to %d", maxEvents)}
	}
	app := ""
	if len(c.args) == 1 {
		if err := volume.CheckName(c.args[0]); err != nil { // it may be gone; its events are not
			return err
		}
		app = c.args[0]
	}
	events, err := c.vol.Events(app, n)
	if err != nil {
		return err
	}
	const none = "nothing yet"
	return list(c, events, none, "AT\tBY\tDID\tAPP\tNOTE", func(e volume.Event) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", e.At.UTC().Format(time.RFC3339), plain(e.By), plain(e.Did), orNone(plain(e.App)), orNone(plain(e.Note)))
	})
}
