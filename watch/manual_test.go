package watch

import (
	"strings"
	"testing"
)

func TestManual(t *testing.T) {
	manual := Manual()
	for line := range strings.Lines(manual) {
		if len(line) > 101 {
			t.Errorf("%d characters: %s", len(line)-1, line)
		}
	}
	for _, name := range DefaultIgnores {
		if !strings.Contains(manual, " "+name) {
			t.Errorf("no %s in\n%s", name, manual)
		}
	}
}
