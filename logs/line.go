package logs

import "time"

// Line is one line of a process's log.
type Line struct {
	Process string // "web.1"
	Time    time.Time
	Note    bool   // of ours ("--- v7 starts"), and not printed by the process
	Text    []byte // without its end; any bytes but '\n'
}

// On disk a line is its time, one byte that says whose it is, and the text. What an app prints comes
// behind the byte, so none can pass its own words off as ours.
const (
	stampFormat = "2006-01-02T15:04:05.000Z07:00"
	stampLength = len("2006-01-02T15:04:05.000Z")
	app         = ' '
	ours        = '\t'
)

func appendStamp(to []byte, at time.Time, whose byte) []byte {
	return append(at.UTC().AppendFormat(to, stampFormat), whose)
}

func appendNote(to []byte, at time.Time, text string) []byte {
	return append(append(append(appendStamp(to, at, ours), "--- "...), text...), '\n')
}

// parse takes apart a line as it is on disk. ok is false for anything else, such as what a power cut
// left of one.
func parse(raw []byte) (l Line, ok bool) {
	if len(raw) <= stampLength || raw[stampLength] != app && raw[stampLength] != ours {
		return Line{}, false
	}
	if raw[stampLength-1] != 'Z' || raw[stampLength-len(".000Z")] != '.' { // package time takes a comma too
		return Line{}, false
	}
	at, err := time.Parse(stampFormat, string(raw[:stampLength]))
	if err != nil {
		return Line{}, false
	}
	return Line{Time: at, Note: raw[stampLength] == ours, Text: raw[stampLength+1:]}, true
}
