package receiver

import (
	"io"

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
