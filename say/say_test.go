package say

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

func TestSay(t *testing.T) {
	var out bytes.Buffer
	Step(&out, "Building (%s)", "node")
	Detail(&out, "two\nlines\x1b[31m\n")
	Fault(&out, "npm ci: exit status 1\nread the log")
	want := "-----> Building (node)\n" +
		"       two\n       lines\n" +
		" !     npm ci: exit status 1\n !     read the log\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestIndent(t *testing.T) {
	longest := strings.Repeat("x", longestLine-len(DetailPrefix))
	for text, want := range map[string]string{
		"a\nb\n":              "       a\n       b\n",
		"a":                   "       a\n",
		"a\r\n\r\nb\r\n":      "       a\n       \n       b\n",
		"10%\r50%\r100%\nx\n": "       100%\n       x\n",
		"\x1b[31mred\x1b[0m \x1b]0;title\x07bell\a\x00 \tq\x1bMz\n": "       red bell \tqz\n",
		"\xff\xc2\x9b31m\n": "       \ufffd31m\n",
		longest + "\ny\n":   "       " + longest + "\n       y\n",
		longest + "x\n":     "       " + longest + "\n       x\n",
	} {
		for _, step := range []int{1, 3, 1 << 20} {
			var out bytes.Buffer
			in := NewIndent(&out)
			for rest := []byte(text); len(rest) > 0; {
				n := min(step, len(rest))
				in.Write(rest[:n])
				rest = rest[n:]
			}
			in.Close()
			if out.String() != want {
				t.Errorf("%.60q, step %d: got %.60q, want %.60q", text, step, out.String(), want)
			}
		}
	}
}

// A log is washed when it is written, and again when it is read.
func TestFlatLeavesIndented(t *testing.T) {
	var once, twice bytes.Buffer
	in := NewIndent(&once)
	in.Write(bytes.Repeat([]byte("x"), 3*longestLine))
	in.Close()
	flat := NewFlat(&twice)
	flat.Write(once.Bytes())
	flat.Close()
	if twice.String() != once.String() {
		t.Errorf("%d lines became %d", strings.Count(once.String(), "\n"), strings.Count(twice.String(), "\n"))
	}
}

// Close ends a line. What follows is on the next, without an empty one between them.
func TestFlatGoesOnAfterClose(t *testing.T) {
	var out bytes.Buffer
	flat := NewFlat(&out)
	for _, part := range []string{"a", "\nb", "c\n"} {
		io.WriteString(flat, part)
		flat.Close()
	}
	if want := "a\nb\nc\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func FuzzIndent(f *testing.F) {
	f.Add([]byte("a\rb\x1b[31m\n\xff"), 2)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var whole, steps bytes.Buffer
		in := NewIndent(&whole)
		in.Write(text)
		in.Close()
		in = NewIndent(&steps)
		for rest := text; len(rest) > 0; {
			n := min(max(1, step), len(rest))
			in.Write(rest[:n])
			rest = rest[n:]
		}
		in.Close()
		if whole.String() != steps.String() {
			t.Fatalf("%q, step %d: got %q, want %q", text, step, steps.String(), whole.String())
		}
		for _, r := range whole.String() {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Fatalf("%q: control character %q is still in the output", text, r)
			}
		}
	})
}

func TestBounded(t *testing.T) {
	var out bytes.Buffer
	b := NewBounded(&out, 100, 30)
	line := []byte("0123456789abcde\n") // 16 bytes
	for range 1000 {
		b.Write(line)
	}
	b.Write([]byte("the end\n"))
	b.Close()
	if out.Len() > 300 {
		t.Errorf("wrote %d bytes, want at most 300", out.Len())
	}
	for _, part := range []string{"... 16 kB left out ...\n", "\n0123456789abcde\nthe end\n"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in:\n%s", part, out.String())
		}
	}

	out.Reset()
	b = NewBounded(&out, 10, 10)
	b.Write([]byte("0123456789ABCDEFGHIJ"))
	b.Close()
	if out.String() != "0123456789ABCDEFGHIJ" {
		t.Errorf("got %q, want the whole text", out.String())
	}

	b = NewBounded(iotest.TruncateWriter(&out, 0), 1, 1)
	if n, err := b.Write(line); n != len(line) || err != nil {
		t.Errorf("Write = %d, %v; want %d and no error", n, err, len(line))
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"Grüße":         "Grüße",
		"a\nb\x1b[2J":   "a?b?[2J",
		"\u202egpj.exe": "?gpj.exe",
		"0123456789":    "01234567...",
	} {
		if got := Plain(text, 8); got != want {
			t.Errorf("Plain(%q) = %q, want %q", text, got, want)
		}
	}
}
