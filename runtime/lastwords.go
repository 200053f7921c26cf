package runtime

import (
	"context"

	"paas/logs"
)

// lastWords are the last lines, at most count, that the process printed since its last start.
func (m *member) lastWords(count int) []string {
	m.out.file.EndLine()
	var words words
	name := m.place.String()
	reading := logs.Reading{
		Dir: m.in.home.app.Logs(), Last: count + 1, To: &words,
		Of: func(process string) bool { return process == name },
	}
	reading.Run(context.Background()) // where the log cannot be read, there are none to show
	return words[max(0, len(words)-count):]
}

// words takes lines, from the last start on.
type words []string

func (w *words) Line(l logs.Line) error {
	if l.Note {
		*w = nil
	} else {
		*w = append(*w, string(l.Text))
	}
	return nil
}

func (w *words) Pause() error { return nil }
