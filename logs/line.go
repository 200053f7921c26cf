package logs

import "time"

// Line is one line of a process's log.
type Line struct {
	Process string // "web.1"
	Time    time.Time
	Note    bool   // written by the server ("--- v7 starts"), not printed by the process
	Text    []byte // without line ending; any bytes except '\n'
}

// On disk a line is its time, one byte for its origin, and the text. What an app prints follows
// that byte, so no app can forge a line of the server's.
const (
	stampFormat = "2006-01-02T15:04:05.000Z07:00"
	stampLength = len("2006-01-02T15:04:05.000Z")
	app         = ' '
	server      = '\t'
)

func appendStamp(to []byte, at time.Time, origin byte) []byte {
	return append(at.UTC().AppendFormat(to, stampFormat), origin)
}

func appendNote(to []byte, at time.Time, text string) []byte {
	return append(append(append(appendStamp(to, at, server), "--- "...), text...), '\n')
}

// parse parses a line as it is on disk. ok is false for anything else, such as what a power cut
// left.
func parse(raw []byte) (l Line, ok bool) {
	if len(raw) <= stampLength || raw[stampLength] != app && raw[stampLength] != server {
		return Line{}, false
	}
	// package time accepts a comma too
	if raw[stampLength-1] != 'Z' || raw[stampLength-len(".000Z")] != '.' {
		return Line{}, false
	}
	at, err := time.Parse(stampFormat, string(raw[:stampLength]))
	if err != nil {
		return Line{}, false
	}
	return Line{Time: at, Note: raw[stampLength] == server, Text: raw[stampLength+1:]}, true
}
