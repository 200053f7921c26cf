package remote

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestPackets(t *testing.T) {
	in := newPacketReader(strings.NewReader("0009a b\n\n00000001000600020006\n\n0"), 100, nil)
	for i, want := range []struct {
		kind packetKind
		text string
	}{{data, "a b\n"}, {flush, ""}, {delimiter, ""}} {
		if k, text, err := in.text(); k != want.kind || text != want.text || err != nil {
			t.Fatal(i, k, text, err)
		}
	}
	if k, text, err := in.text(); k != data || text != "00" || err != nil {
		t.Fatal(k, text, err)
	}
	in = newPacketReader(strings.NewReader("0005a0005b"), 9, nil)
	in.next()
	if _, _, err := in.next(); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	var q request
	q.addLine("want %s", "x")
	q.addDelimiter()
	q.addFlush()
	if string(q) != "000bwant x\n00010000" {
		t.Errorf("%q", q)
	}
}

func TestSideBandReader(t *testing.T) {
	for in, want := range map[string]struct {
		out, err string
	}{
		"0007\x01ab0006\x02x0006\x01c0000": {"abc", ""},
		"0007\x01ab":                       {"ab", "EOF"},
		"0007\x01ab0008\x03bad0000":        {"ab", "the server says: bad"},
		"0006\x04x0000":                    {"", "git's protocol"},
		"00040000":                         {"", "git's protocol"},
		"0001":                             {"", "git's protocol"},
	} {
		out, err := io.ReadAll(&sideBandReader{packets: newPacketReader(strings.NewReader(in),
			math.MaxInt64, nil)})
		if string(out) != want.out || (err == nil) != (want.err == "") || err != nil &&
			!strings.Contains(err.Error(), want.err) {
			t.Errorf("%q: %q, %v", in, out, err)
		}
	}
}

// reply returns a session with a server that sends said.
func reply(said []byte) *session {
	return &session{
		in:    newPacketReader(bytes.NewReader(said), 1<<20, nil),
		send:  func(request) error { return nil },
		close: func() {}, discard: func() {},
	}
}

func FuzzHead(f *testing.F) {
	commit := strings.Repeat("a", 40)
	f.Add([]byte(packetLines("version 2", "ls-refs=unborn", "fetch=shallow", "object-format=sha1")+
		"0000"+packetLines(commit+" refs/heads/main")+"0000"), "main")
	f.Add([]byte(packetLines("version 2", "ls-refs")+"0000"+
		packetLines(commit+" HEAD symref-target:refs/heads/main")+"0000"), "")
	f.Add([]byte(packetLines("version 2", "ls-refs")+"0000"+
		packetLines("unborn HEAD symref-target:refs/heads/main")+"00000000"), "")
	f.Add([]byte(packetLines("# service=git-upload-pack")+"0000"+
		packetLines(commit+" HEAD\x00symref=HEAD:refs/heads/main shallow side-band-64k",
			commit+" refs/heads/main", "shallow "+commit)+"0000"), "")
	f.Add([]byte("0000"), "main")
	f.Fuzz(func(t *testing.T, said []byte, branch string) {
		s := reply(said)
		if s.handshake() != nil {
			return
		}
		head, err := s.head(Ref{Branch: branch})
		if err == nil && (!isCommit(head.Commit) || branch != "" && head.Name != branch) {
			t.Fatalf("%+v", head)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Fatalf("%q", err)
		}
	})
}

func FuzzFetch(f *testing.F) {
	commit := strings.Repeat("a", 40)
	f.Add([]byte(packetLines("shallow-info", "shallow "+commit, "unshallow "+commit)+"0001"+
		packetLines("packfile")+"0009\x01PACK0000"), 2)
	f.Add([]byte(packetLines("shallow "+commit)+"0000"+packetLines("NAK")+"0009\x01PACK0000"), 0)
	f.Fuzz(func(t *testing.T, said []byte, version int) {
		s := reply(said)
		s.version, s.shallow, s.sideBand = version, true, true
		p, err := s.fetch(fetchRequest{commit: commit})
		if err != nil {
			return
		}
		if out, _ := io.ReadAll(p); len(out) > len(said) {
			t.Fatal("more came out than went in")
		}
		for _, c := range append(p.shallow, p.unshallow...) {
			if !isCommit(c) {
				t.Fatalf("%q", c)
			}
		}
	})
}
