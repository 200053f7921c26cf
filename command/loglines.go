package command

import (
	"bufio"
	"context"
	"slices"
	"time"

	"paas/logs"
	"paas/say"
	"paas/terminal"
	"paas/volume"
)

// LogLine is a line that a process printed, or the server about it.
type LogLine struct {
	Time    time.Time `json:"time"`
	Process string    `json:"process"`        // "web.1"
	Note    bool      `json:"note,omitempty"` // the server's own
	Text    anyText   `json:"text"`           // good until Tell returns

	known []string // the processes that there are logs of, for a table
}

// anyText is any bytes but a line's end. Those that are not UTF-8 become U+FFFD in JSON.
type anyText []byte

func (t anyText) MarshalText() ([]byte, error) { return t, nil }

// logTime is how a line's time is shown: as it is on disk.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// logPage shows lines of logs to people: "2026-11-25T10:00:00.000Z web.1    | text". A program or a
// file gets the app's own bytes. On a terminal each type of process has a colour, and a line can do
// nothing but set colours.
type logPage struct {
	out    *bufio.Writer
	colour bool
	types  []string // those that have a colour, in the order of the colours
	width  int      // of the longest name so far
	line   []byte
}

func printLogs(p *Page) Teller[LogLine] {
	return &logPage{out: bufio.NewWriterSize(p, 32<<10), colour: p.OnTerminal, width: len("web.1")}
}

func (l *logPage) Tell(line LogLine) error {
	if len(l.types) == 0 { // the first line
		for _, process := range line.known { // so that a type has its colour whichever prints first
			l.width = max(l.width, len(process))
			l.colourOf(process)
		}
	}
	l.width = max(l.width, len(line.Process))
	to := line.Time.AppendFormat(l.line[:0], logTime)
	to = append(to, ' ')
	if l.colour {
		to = append(to, l.colourOf(line.Process)...)
	}
	to = append(to, line.Process...)
	for range l.width - len(line.Process) {
		to = append(to, ' ')
	}
	to = append(to, " | "...)
	switch {
	case !l.colour:
		to = append(to, line.Text...)
	case line.Note:
		to = append(append(to, reset...), faint...)
		to = append(append(to, say.Screen(nil, line.Text)...), reset...)
	default:
		to = say.Screen(append(to, reset...), line.Text)
	}
	l.line = append(to, '\n')
	_, err := l.out.Write(l.line)
	return err
}

func (l *logPage) Flush() error { return l.out.Flush() }

// colourOf is the colour of the process's type.
func (l *logPage) colourOf(process string) string {
	kind := logs.Type(process)
	at := slices.Index(l.types, kind)
	if at < 0 {
		at = len(l.types)
		l.types = append(l.types, kind)
	}
	return typeColours[at%len(typeColours)]
}

// typeColours can be read on light and dark. Red is left to the app.
var typeColours = []string{"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m"}

const (
	faint = "\x1b[2m"
	reset = "\x1b[0m"
)

// whileRead runs f until nobody reads the output any more, also if f writes nothing.
func (c *Call) whileRead(f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(c)
	defer cancel(nil)
	go func() {
		select {
		case <-c.OutputClosed:
			cancel(terminal.ErrOutputClosed)
		case <-ctx.Done():
		}
	}()
	if err := f(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err == terminal.ErrOutputClosed {
		return err
	}
	return nil
}

// logged names the processes that the app has logs of, and those that run and may have one soon.
func (c *Call) logged(app volume.App) ([]string, error) {
	names, err := logs.Processes(app.Logs())
	if err != nil {
		return nil, err
	}
	running, err := c.processes(app)
	if err != nil {
		return nil, err
	}
	for _, p := range running {
		names = append(names, p.Name())
	}
	slices.SortFunc(names, logs.Compare)
	return slices.Compact(names), nil
}
