package sidecar

import (
	"strings"

	"paas/say"
)

// trouble says what went wrong: in the log once, on the volume where it does not say so already.
func (f *follower) trouble(text string) {
	if !alike(text, f.said) {
		f.Log.Warn("not synced; tried again", "app", f.app.Name, "err", text)
		f.said = text
	}
	if alike(text, f.looked.Error) {
		f.app.TouchSourceStatus()
		return
	}
	if err := f.note(text); err != nil {
		f.Log.Error("trouble not noted", "app", f.app.Name, "err", err)
	}
}

// note writes what went wrong to the volume; the next failure does where somebody else is syncing.
func (f *follower) note(text string) error {
	unlock, err := f.app.TrySourceLock()
	if unlock == nil {
		return err
	}
	defer unlock()
	if err := f.current(); err != nil {
		return nil // it is the trouble of a source that was
	}
	looked, err := f.app.SourceStatus()
	if err != nil {
		return err
	}
	looked.Source, looked.Error = f.source.ID, text
	if err := f.app.SetSourceStatus(looked); err != nil {
		return err
	}
	f.looked = looked
	return nil
}

// well says that trouble is over.
func (f *follower) well() {
	if f.said != "" {
		f.Log.Info("synced again", "app", f.app.Name)
		f.said = ""
	}
}

// alike says whether two errors are the same trouble: they may differ in numbers, such as the port
// a connection came from.
func alike(a, b string) bool { return withoutDigits(a) == withoutDigits(b) }

func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// maxLine is the length of an error that is kept, in characters.
const maxLine = 500

// oneLine is an error as it is kept and shown.
func oneLine(err error) string {
	return say.Plain(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; "), maxLine)
}
