package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paas/logs"
	"paas/nearest"
	"paas/sshd"
	"paas/volume"
)

var logVerbs = []verb{
	{use: "logs APP [-t] [-n N] [-p PROCESS] [--since TIME]", short: "what the app printed", args: args(1, 1), run: showLogs, flags: func(cmd *cobra.Command) {
		cmd.Flags().BoolP("tail", "t", false, "go on until interrupted")
		cmd.Flags().IntP("num", "n", 100, "how many of the last lines; with --since all, unless a number is given")
		cmd.Flags().StringArrayP("process", "p", nil, "only processes of this type (web), or this one (web.1); any number of times")
		cmd.Flags().String("since", "", "only what is not older: 10m, 2d, 2026-11-25T10:00:00Z, or in the server's time \"2026-11-25 10:00:00\"")
		cmd.Flags().String("format", "text", "text, or json: one object a line")
	}},
}

func showLogs(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	r := logs.Reading{Dir: app.Logs()}
	if r.Last, _ = c.cmd.Flags().GetInt("num"); r.Last < 0 {
		return usageError(fmt.Errorf("-n is how many lines, at least 0, not %d", r.Last))
	}
	if text, _ := c.cmd.Flags().GetString("since"); text != "" {
		if r.Since, err = since(text, time.Now()); err != nil {
			return usageError(err)
		}
		if !c.cmd.Flags().Changed("num") {
			r.Last = -1
		}
	}
	known, err := c.logged(app)
	if err != nil {
		return err
	}
	wanted, _ := c.cmd.Flags().GetStringArray("process")
	if r.Of, err = selection(app.Name, wanted, known); err != nil {
		return err
	}
	switch format, _ := c.cmd.Flags().GetString("format"); {
	case format == "json":
		r.To = newJSONLines(c.out)
	case format != "text":
		return usageError(fmt.Errorf("--format is text or json, not %q", plain(format)))
	case c.onTerminal():
		r.To = newColourLines(c.out, known)
	default:
		r.To = newPlainLines(c.out, known)
	}
	if r.Follow, _ = c.cmd.Flags().GetBool("tail"); r.Follow {
		return c.whileRead(r.Run)
	}
	return r.Run(c)
}

// whileRead runs f until nobody reads the output any more, also where f writes nothing.
func (c *call) whileRead(f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(c)
	defer cancel(nil)
	go func() {
		select {
		case <-c.unread:
			cancel(sshd.ErrUnread)
		case <-ctx.Done():
		}
	}()
	if err := f(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err == sshd.ErrUnread {
		return err
	}
	return nil
}

// logged are the processes that an app has a log of, or may have one of soon.
func (c *call) logged(app volume.App) ([]string, error) {
	names, err := logs.Processes(app.Logs())
	if err != nil {
		return nil, err
	}
	running, err := c.processes(app)
	if err != nil {
		return nil, err
	}
	for _, p := range running {
		names = append(names, fmt.Sprintf("%s.%d", p.Type, p.Index))
	}
	slices.SortFunc(names, logs.Compare)
	return slices.Compact(names), nil
}

// selection is what wanted, names of processes and of types, selects of the known ones; nil is all.
func selection(app string, wanted, known []string) (func(string) bool, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	for _, name := range wanted {
		is := func(process string) bool { return process == name || logs.Type(process) == name }
		if slices.ContainsFunc(known, is) {
			continue
		}
		if len(known) == 0 {
			return nil, fmt.Errorf("%s has no process %q: nothing of it has run yet", app, plain(name))
		}
		near := ""
		var names []string
		for _, process := range known {
			names = append(names, process, logs.Type(process))
		}
		if word := nearest.Word(name, names); word != "" {
			near = " (did you mean " + word + "?)"
		}
		return nil, fmt.Errorf("%s has no process %q%s; there are logs of %s", app, plain(name), near, strings.Join(known, ", "))
	}
	return func(process string) bool {
		return slices.Contains(wanted, process) || slices.Contains(wanted, logs.Type(process))
	}, nil
}

var errSince = errors.New("--since is how long ago (90s, 10m, 2h30m, 2d) or when (2026-11-25T10:00:00Z, \"2026-11-25 10:00:00\")")

// since is the time that a person means by text. A time without a zone is in the server's, as ps and
// releases show times.
func since(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w, not %q", errSince, plain(text))
}

// onTerminal says whether a person reads what the call prints.
func (c *call) onTerminal() bool {
	if c.remote {
		return c.terminal != nil
	}
	return isTerminal(c.out)
}
