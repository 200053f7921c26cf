package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/logs"
	"paas/nearest"
	"paas/volume"
)

func logRows() []Row {
	return []Row{
		Stream[logsInput, LogLine]{
			Head: Head{
				Name: "logs", Group: Running, Needs: access.Deploy,
				Example: "blog -t -p web",
				Short:   "show what the app printed; with -p router, its requests",
			},
			Run:  showLogs,
			Text: printLogs,
		},
	}
}

type logsInput struct {
	App       string   `json:"app" arg:"APP"`
	Tail      bool     `json:"tail" flag:"tail,t" also:"follow,f" help:"go on until interrupted"`
	Last      *int     `json:"num" flag:"num,n" value:"N" help:"how many of the last lines (default 100; with --since all of them)"`
	Processes []string `json:"processes" flag:"process,p" also:"ps" value:"PROCESS" help:"only processes of this type (web), or this one (web.1); any number of times"`
	Since     string   `json:"since" flag:"since" value:"TIME" help:"only what is not older: 10m, 2d, or a time in UTC such as 2026-11-25T10:00:00Z"`
}

// lastLines is how many lines are shown if nobody says what to show.
const lastLines = 100

func showLogs(c *Call, in logsInput, events Teller[LogLine]) error {
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	known, err := c.logged(app)
	if err != nil {
		return err
	}
	r := logs.Reading{Dir: app.Logs(), Last: lastLines, Follow: in.Tail}
	if in.Since != "" {
		r.Last = -1
		if r.Since, err = parseSince(in.Since, time.Now()); err != nil {
			return err
		}
	}
	if in.Last != nil {
		if r.Last = *in.Last; r.Last < 0 {
			return wrong("num", "-n is how many lines, at least 0, not %d", r.Last)
		}
	}
	if r.Of, err = selection(app.Name, in.Processes, known); err != nil {
		return err
	}
	r.To = logTeller{events, slices.DeleteFunc(known, func(name string) bool { return !r.Of(name) })}
	if in.Tail {
		return c.whileRead(r.Run)
	}
	return r.Run(c)
}

// logTeller tells the lines of a reading.
type logTeller struct {
	to    Teller[LogLine]
	known []string
}

func (t logTeller) Line(l logs.Line) error {
	return t.to.Tell(LogLine{l.Time.UTC(), l.Process, l.Note, l.Text, t.known})
}

func (t logTeller) Pause() error { return t.to.Flush() }

// selection reports which of the known processes are wanted. wanted names processes and types; if
// it is empty, all are but the log of requests, in which everything else would drown.
func selection(app string, wanted, known []string) (func(string) bool, error) {
	if len(wanted) == 0 {
		return func(process string) bool { return process != volume.RequestLog }, nil
	}
	for _, name := range wanted {
		is := func(process string) bool { return process == name || logs.Type(process) == name }
		if slices.ContainsFunc(known, is) {
			continue
		}
		if len(known) == 0 {
			return nil, noProcess("%s has no process %q: nothing of it has run yet", app, plain(name))
		}
		near := ""
		var names []string
		for _, process := range known {
			names = append(names, process, logs.Type(process))
		}
		if word := nearest.Word(name, names); word != "" {
			near = " (did you mean " + word + "?)"
		}
		return nil, noProcess("%s has no process %q%s; there are logs of %s",
			app, plain(name), near, strings.Join(known, ", "))
	}
	return func(process string) bool {
		return slices.Contains(wanted, process) || slices.Contains(wanted, logs.Type(process))
	}, nil
}

func noProcess(format string, args ...any) error {
	return &Fault{Kind: NotFound, Field: "processes", Err: fmt.Errorf(format, args...)}
}
