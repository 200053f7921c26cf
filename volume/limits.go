package volume

// Limits are what one process of an app may use, with everything it starts in turn; 0: no limit.
type Limits struct {
	Memory    int64   `json:"memory,omitempty"`    // bytes
	CPU       float64 `json:"cpu,omitempty"`       // of one core: 0.5 is half of one, 2 are two whole ones
	Processes int     `json:"processes,omitempty"` // threads count too
}

// Over are l, and where l has none those of general.
func (l Limits) Over(general Limits) Limits {
	if l.Memory == 0 {
		l.Memory = general.Memory
	}
	if l.CPU == 0 {
		l.CPU = general.CPU
	}
	if l.Processes == 0 {
		l.Processes = general.Processes
	}
	return l
}
