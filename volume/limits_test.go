package volume

import (
	"encoding/json"
	"testing"
)

// Each limit that a type sets comes before the default of all types.
func TestLimitsOf(t *testing.T) {
	for _, c := range []struct {
		wanted, processType string
		want                Limits
	}{
		{`{}`, "web", Limits{}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}}}`, "web", Limits{256, 0.5, 0}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}, "worker": {"memory": 512, "processes": 9}}}`, "worker", Limits{512, 0.5, 9}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}, "worker": {"memory": 512, "processes": 9}}}`, "web", Limits{256, 0.5, 0}},
		{`{"limits": {"worker": {"cpu": 2}}}`, "run", Limits{}},
	} {
		var w Wanted
		if err := json.Unmarshal([]byte(c.wanted), &w); err != nil {
			t.Fatal(err)
		}
		if got := w.LimitsOf(c.processType); got != c.want {
			t.Errorf("%s of %s: %v", c.processType, c.wanted, got)
		}
	}
}
