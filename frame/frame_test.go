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
		t.Fatal(n, err)
	}
	var got strings.Builder
	for {
		k, content, err := Read(&wire)
		if err == io.EOF {
			break
		}
		if err != nil || k != 'o' || len(content) > Max {
			t.Fatalf("%q, %d bytes, %v", k, len(content), err)
		}
		got.Write(content)
	}
	if got.String() != text {
		t.Errorf("%d bytes of %d came back", got.Len(), len(text))
	}
	if err := Write(io.Discard, 'o', make([]byte, Max+1)); err == nil {
		t.Error("a frame too large was written")
	}
}

// FuzzRead: what is read is what would be written, and no more is taken from the stream.
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
		if err := Write(&out, k, content); err != nil || !bytes.HasPrefix(in, out.Bytes()) || out.Len() != len(in)-r.Len() {
			t.Errorf("%q: %q, %v", in, out.Bytes(), err)
		}
	})
}
