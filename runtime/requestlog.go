package runtime

import (
	"path/filepath"

	"paas/logs"
	"paas/volume"
)

// RequestLog is the log of an app's requests, which the front writes. What the front has to say to
// the app's owner goes to a log of its own, so that it does not drown.
type RequestLog struct{ requests, notes logs.File }

// RequestLog returns the log of an app. Nothing is opened before the first line. An app that does
// not exist any more gets none.
func (rt *Runtime) RequestLog(name string) *RequestLog {
	l := &RequestLog{}
	if app, err := rt.Volume.App(name); err == nil {
		l.requests.Path = filepath.Join(app.Logs(), volume.RequestLog+".log")
		l.notes.Path = filepath.Join(app.Logs(), volume.FrontLog+".log")
	}
	return l
}

// Requests writes lines, one for each request.
func (l *RequestLog) Requests(lines []byte) { l.requests.Write(lines) }

// Note writes a line for the app's owner.
func (l *RequestLog) Note(text string) { l.notes.Note("%s", text) }

// Close closes the files.
func (l *RequestLog) Close() {
	l.requests.Close()
	l.notes.Close()
}
