package volume

// Limits bound what one process of an app may use, together with all that it starts; 0: no limit.
type Limits struct {
	Memory int64 `json:"memory,omitempty"` // bytes
	// CPU counts cores: 0.5 is half of one, 2 are two whole ones.
	CPU       float64 `json:"cpu,omitempty"`
	Processes int     `json:"processes,omitempty"` // threads count too
}

// Over returns l, with general's limits where l has none.
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
