package say

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestScreen(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext":                         "plain\ttext",
		"\x1b[1;31mred":                       "\x1b[1;31mred\x1b[0m",
		"\x1b[38:2::1:2:3mrgb\x1b[m":          "\x1b[38:2::1:2:3mrgb\x1b[m\x1b[0m",
		"\x1b[2Jcl\x1b[Hear\x1b[?25l":         "clear",
		"\x1b[>4;1mxterm\x1b[0 q":             "xterm",
		"\x1b]0;title\x07bell\a\x00\x1b[6n":   "bell",
		"\x1b[31":                             "",
		"\x9b31m \xc2\x9b31m":                 "\ufffd31m 31m",
		"10%\r50%\r100%\r\n":                  "100%",
		"\x1bPq#0;2;0;0;0\x1b\\":              "q#0;2;0;0;0",
		strings.Repeat("\xff", 3) + "\x1b[31": "\ufffd\ufffd\ufffd",
	} {
		if got := string(Screen(nil, []byte(text))); got != want {
			t.Errorf("Screen(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzScreen(f *testing.F) {
	f.Add([]byte("\x1b[1;31mred\x1b[2J\r\x1b]0;x\x1b\\\x9b"))
	colour := regexp.MustCompile(`\x1b\[[0-9;:]*m`)
	f.Fuzz(func(t *testing.T, text []byte) {
		got := string(Screen(nil, text))
		coloured := strings.Contains(got, "\x1b")
		if !utf8.ValidString(got) || coloured && !strings.HasSuffix(got, "\x1b[0m") {
			t.Fatalf("Screen(%q) = %q, want valid UTF-8 that ends its colours", text, got)
		}
		for _, r := range colour.ReplaceAllString(got, "") {
			if unicode.IsControl(r) && r != '\t' {
				t.Fatalf("Screen(%q) left control character %q", text, r)
			}
		}
	})
}
