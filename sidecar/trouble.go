package sidecar

import (
	"strings"

	"paas/say"
	"paas/volume"
)

// trouble logs once what went wrong, and records it on the volume, unless it is there already.
func (f *follower) trouble(text string) {
	if !alike(text, f.said) {
		f.Log.Warn("not synced; tried again", "app", f.app.Name, "err", text)
		f.said = text
	}
	if alike(text, f.known.Error) {
		f.app.TouchSourceStatus()
		return
	}
	if err := f.note(text); err != nil {
		f.Log.Error("trouble not recorded", "app", f.app.Name, "err", err)
	}
}

// note records on the volume what went wrong. If somebody else is syncing, the next failure does.
func (f *follower) note(text string) error {
	unlock, err := f.app.TrySourceLock()
	if unlock == nil {
		return err
	}
	defer unlock()
	if err := f.current(); err != nil {
		return nil // the trouble is that of an earlier source
	}
	now, err := f.app.SourceStatus()
	if err != nil {
		return err
	}
	now.Source, now.Error = f.source.ID, text
	if err := f.app.SetSourceStatus(now); err != nil {
		return err
	}
	f.known = now
	return nil
}

// well logs that trouble is over.
func (f *follower) well() {
	if f.said != "" {
		f.Log.Info("synced again", "app", f.app.Name)
		f.said = ""
	}
}

// alike reports whether two errors are about the same trouble: they may differ in numbers, such as
// the port of a connection.
func alike(a, b string) bool { return withoutDigits(a) == withoutDigits(b) }

func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// withAdvice returns a problem with what can be done about it, for a reader who comes later.
func (s *Sidecar) withAdvice(problem string, what volume.Remedy) string {
	if advice := s.advice(what); advice != "" {
		problem += "; " + advice
	}
	return say.Plain(problem, maxLine)
}

// maxLine is the maximum length of an error that is kept, in characters.
const maxLine = 500

// oneLine returns an error as it is kept and shown.
func oneLine(err error) string {
	return say.Plain(
		strings.Join(
			strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }),
			"; ",
		),
		maxLine,
	)
}
