package receiver

import (
	"bytes"
	"io"
	"regexp"
	"unicode"

	"paas/say"
)

// voice is what the pusher reads. Nothing is done about a pusher who no longer listens: that is
// noticed where the session is served.
type voice struct{ io.Writer }

func (v voice) step(format string, args ...any)   { say.Step(v, format, args...) }
func (v voice) detail(format string, args ...any) { say.Detail(v, format, args...) }
func (v voice) fault(format string, args ...any)  { say.Fault(v, format, args...) }

// plain is text of a user's as others may see it.
func plain(text string, limit int) string { return say.Plain(text, limit) }

// logLines copies a release's log to the pusher, whole lines only, each made harmless and bounded.
type logLines struct {
	to      io.Writer
	partial []byte
}

const maxLogLine = 2000 // bytes

var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?)`)

func (l *logLines) Write(p []byte) (int, error) {
	var out []byte
	for rest := p; ; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if room := 2*maxLogLine - len(l.partial); room > 0 {
			l.partial = append(l.partial, line[:min(room, len(line))]...)
		}
		if !whole {
			break
		}
		out = append(append(out, l.clean()...), '\n')
		l.partial, rest = l.partial[:0], after
	}
	if _, err := l.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// finish copies a last line that has no end.
func (l *logLines) finish() {
	if len(l.partial) > 0 {
		l.to.Write(append(l.clean(), '\n'))
		l.partial = nil
	}
}

func (l *logLines) clean() []byte {
	line := bytes.TrimRight(l.partial, "\r")
	line = line[bytes.LastIndexByte(line, '\r')+1:] // a progress bar: what is seen in the end
	line = escapes.ReplaceAll(line, nil)
	line = bytes.Map(func(c rune) rune {
		if c == '\t' || unicode.IsPrint(c) {
			return c
		}
		return -1
	}, line)
	if len(line) > maxLogLine {
		line = append(bytes.ToValidUTF8(line[:maxLogLine], nil), "..."...)
	}
	return line
}
