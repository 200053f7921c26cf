package runtime

import (
	"context"

	"paas/runtime/logs"
)

// lastWords are the last lines that the process at p printed since its last start.
func lastWords(dir string, p place) []string {
	const count = 5
	var words words
	reading := logs.Reading{Dir: dir, Last: count + 1, To: &words, Of: func(process string) bool { return process == p.String() }}
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
