package main

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"time"

	"paas/logs"
	"paas/say"
)

// logTime is how a line's time is shown: as it is on disk.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// logLines prints lines as people read them: "2026-11-25T10:00:00.000Z web.1    | text".
type logLines struct {
	out    *bufio.Writer
	width  int // of the longest name so far
	text   func(to, text []byte) []byte
	colour func(process string) string // nil: none
	line   []byte
}

// newPlainLines prints to a program or a file, which gets the app's own bytes: what reads them may
// count on them, and no terminal is there to be harmed.
func newPlainLines(out io.Writer, known []string) *logLines {
	return newLogLines(out, known, func(to, text []byte) []byte { return append(to, text...) })
}

// newColourLines prints to a terminal: each type has its colour, and no line can do more there than
// have its own colours.
func newColourLines(out io.Writer, known []string) *logLines {
	l := newLogLines(out, known, say.Screen)
	var types []string
	l.colour = func(process string) string {
		kind := logs.Type(process)
		at := slices.Index(types, kind)
		if at < 0 {
			at = len(types)
			types = append(types, kind)
		}
		return typeColours[at%len(typeColours)]
	}
	for _, process := range known { // so that a type has its colour whichever prints first
		l.colour(process)
	}
	return l
}

// typeColours are read well on light and dark; red is for what the app wants to be seen as red.
var typeColours = []string{"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m"}

const (
	faint = "\x1b[2m"
	reset = "\x1b[0m"
)

func newLogLines(out io.Writer, known []string, text func(to, text []byte) []byte) *logLines {
	l := &logLines{out: bufio.NewWriterSize(out, 32<<10), text: text, width: len("web.1")}
	for _, process := range known {
		l.width = max(l.width, len(process))
	}
	return l
}

func (l *logLines) Line(line logs.Line) error {
	to := line.Time.UTC().AppendFormat(l.line[:0], logTime)
	to = append(to, ' ')
	if l.colour != nil {
		to = append(to, l.colour(line.Process)...)
	}
	to = append(to, line.Process...)
	l.width = max(l.width, len(line.Process))
	for range l.width - len(line.Process) {
		to = append(to, ' ')
	}
	to = append(to, " | "...)
	if l.colour != nil {
		to = append(to, reset...)
	}
	if note := line.Note && l.colour != nil; note {
		to = append(append(append(to, faint...), say.Screen(nil, line.Text)...), reset...)
	} else {
		to = l.text(to, line.Text)
	}
	l.line = append(to, '\n')
	_, err := l.out.Write(l.line)
	return err
}

func (l *logLines) Pause() error { return l.out.Flush() }

// jsonLines prints each line as a JSON object. Bytes of text that are not UTF-8 become U+FFFD.
type jsonLines struct {
	out     *bufio.Writer
	encoder *json.Encoder
}

func newJSONLines(out io.Writer) *jsonLines {
	l := &jsonLines{out: bufio.NewWriterSize(out, 32<<10)}
	l.encoder = json.NewEncoder(l.out)
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *jsonLines) Line(line logs.Line) error {
	return l.encoder.Encode(struct {
		Time    time.Time `json:"time"`
		Process string    `json:"process"`
		Note    bool      `json:"note,omitempty"` // of the server's own
		Text    string    `json:"text"`
	}{line.Time.UTC(), line.Process, line.Note, string(line.Text)})
}

func (l *jsonLines) Pause() error { return l.out.Flush() }
