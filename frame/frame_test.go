package frame

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	var wire bytes.Buffer
	text := strings.Repeat("0123456789", Max/4)
	if n, err := (Writer{&wire, 'o'}).Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	var got strings.Builder
	for {
		k, content, err := Read(&wire)
		if err == io.EOF {
			break
		}
		if err != nil || k != 'o' || len(content) > Max {
			t.Fatalf("Read = %q, %d bytes, %v", k, len(content), err)
		}
		got.Write(content)
	}
	if got.String() != text {
		t.Errorf("read %d bytes back, want the %d that were written", got.Len(), len(text))
	}
	if err := Write(io.Discard, 'o', make([]byte, Max+1)); err == nil {
		t.Error("Write accepted a frame that is too large")
	}
}

// FuzzRead checks that Read takes exactly what Write would write.
func FuzzRead(f *testing.F) {
	var seed bytes.Buffer
	Write(&seed, 't', []byte("token"))
	Write(&seed, '.', nil)
	f.Add(seed.Bytes())
	f.Add([]byte("o\xff\xff\xff\xff"))
	f.Add([]byte("o\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		k, content, err := Read(r)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, k, content); err != nil || !bytes.HasPrefix(in, out.Bytes()) ||
			out.Len() != len(in)-r.Len() {
			t.Errorf("Read took %q from %q, err = %v", out.Bytes(), in, err)
		}
	})
}
