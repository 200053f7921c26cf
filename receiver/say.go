package receiver

import (
	"io"

	"paas/say"
)

// voice writes what the pusher reads. It ignores errors: [Receiver.Serve] notices a pusher who has
// left.
type voice struct{ io.Writer }

func (v voice) step(format string, args ...any)   { say.Step(v, format, args...) }
func (v voice) detail(format string, args ...any) { say.Detail(v, format, args...) }
func (v voice) fault(format string, args ...any)  { say.Fault(v, format, args...) }

// plain makes text of a user safe to show.
func plain(text string, limit int) string { return say.Plain(text, limit) }
