package terminal

import "testing"

func TestCheckType(t *testing.T) {
	for name, want := range map[string]string{
		"xterm-256color": "xterm-256color", "rxvt-unicode": "rxvt-unicode",
		"screen.xterm": "screen.xterm", "vt100+x": "vt100+x",
		"": "dumb", "../../etc/passwd": "dumb", "a\nb": "dumb", "-x": "dumb", "x y": "dumb",
	} {
		if got := CheckType(name); got != want {
			t.Errorf("CheckType(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNewestSizeWins(t *testing.T) {
	s := NewSizes()
	for i := range uint16(5) {
		s.Put(Size{Columns: i})
	}
	if got := <-s; got.Columns != 4 || len(s) != 0 {
		t.Errorf("got %v and %d more, want the newest alone", got, len(s))
	}
}
