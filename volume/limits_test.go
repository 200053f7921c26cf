package volume

import (
	"encoding/json"
	"testing"
)

// A type's own limits come before those of every type, one by one; settings of before there were any have
// none.
func TestLimitsOf(t *testing.T) {
	for _, c := range []struct {
		settings, processType string
		want                  Limits
	}{
		{`{"branch": "main"}`, "web", Limits{}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}}}`, "web", Limits{256, 0.5, 0}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}, "worker": {"memory": 512, "processes": 9}}}`, "worker", Limits{512, 0.5, 9}},
		{`{"limits": {"": {"memory": 256, "cpu": 0.5}, "worker": {"memory": 512, "processes": 9}}}`, "web", Limits{256, 0.5, 0}},
		{`{"limits": {"worker": {"cpu": 2}}}`, "run", Limits{}},
	} {
		var s Settings
		if err := json.Unmarshal([]byte(c.settings), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.LimitsOf(c.processType); got != c.want {
			t.Errorf("%s of %s: %v", c.processType, c.settings, got)
		}
	}
}
