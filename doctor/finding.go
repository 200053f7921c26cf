package doctor

// Finding is the result of one check.
type Finding struct {
	Check   string `json:"check"`             // what was looked at, in a word: "dns"
	Level   Level  `json:"level"`             // how bad it is
	Problem string `json:"problem,omitempty"` // what is wrong, in one line
	Remedy  string `json:"remedy,omitempty"`  // what to do about it, in one line
}

// Level says how bad a finding is.
type Level string

const (
	OK     Level = "ok"     // nothing is wrong
	Advice Level = "advice" // it works, and could be safer or better
	Fault  Level = "fault"  // something does not work, or soon will not
)
