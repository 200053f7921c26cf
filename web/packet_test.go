package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever the pieces that git's output comes in, the client gets git's packets as they are, the
// server's messages between them, and one flush packet at the end.
func TestSidebandAddsMessagesBetweenPackets(t *testing.T) {
	report := packet("\x01" + packet("unpack ok\n") + packet("ok refs/heads/main\n") + flushPacket)
	output := packet("\x02building\n") + report + packet("\x02live\n") + flushPacket
	for cut := range len(output) + 1 {
		var got bytes.Buffer
		s := &sideband{to: &got}
		io.WriteString(s.messages(), "before\n")
		io.Copy(s, iotest.OneByteReader(strings.NewReader(output[:cut])))
		io.WriteString(s.messages(), "between\n")
		io.WriteString(s, output[cut:])
		io.WriteString(s.messages(), strings.Repeat("after\n", 1000))
		if err := s.finish(); err != nil {
			t.Fatal(err)
		}
		bands, ends := readBands(t, got.Bytes())
		if want := "before\nbuilding\nlive\n" + strings.Repeat("after\n", 1000); strings.Replace(bands[2], "between\n", "", 1) != want {
			t.Fatalf("cut at %d: the client reads %.100q", cut, bands[2])
		}
		if !strings.Contains(bands[2], "between\n") {
			t.Fatalf("cut at %d: a message is lost", cut)
		}
		if bands[1] != report[5:] {
			t.Fatalf("cut at %d: the report is %q", cut, bands[1])
		}
		if !ends {
			t.Fatalf("cut at %d: no flush packet at the end", cut)
		}
	}
}

// readBands returns what a client reads in each band, and whether a flush packet comes last.
func readBands(t *testing.T, output []byte) (bands map[byte]string, ends bool) {
	t.Helper()
	bands = map[byte]string{}
	for len(output) > 0 {
		size, err := packetSize(output[:sizeDigits])
		if err != nil {
			t.Fatalf("%v in %.80q", err, output)
		}
		if size == 0 {
			return bands, len(output) == sizeDigits
		}
		bands[output[sizeDigits]] += string(output[sizeDigits+1 : size])
		output = output[size:]
	}
	return bands, false
}

// If git dies within a packet, nothing follows that the client could take for the rest of it.
func TestSidebandOfKilledGit(t *testing.T) {
	var got bytes.Buffer
	s := &sideband{to: &got}
	io.WriteString(s, "0010\x01unpa")
	io.WriteString(s.messages(), "killed\n")
	s.finish()
	if got.String() != "0010\x01unpa" {
		t.Errorf("%q", got.String())
	}
}

func TestFirstCommand(t *testing.T) {
	const command = "0000 1111 refs/heads/main\x00 report-status side-band-64k"
	shallow := packet("shallow " + strings.Repeat("1", 40))
	for input, want := range map[string]string{
		packet(command) + flushPacket + "PACK":       command,
		shallow + shallow + packet(command) + "0000": command,
		flushPacket:          "",
		"":                   "EOF",
		"POST":               `git: not a packet: "POST"`,
		packet(command)[:20]: "EOF",
		strings.Repeat(shallow, 2000) + packet(command): "bufio: buffer full",
	} {
		body := bufio.NewReaderSize(strings.NewReader(input), maxPacket)
		got, err := firstCommand(body)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%.60q: %q, want %q", input, got, want)
		}
		if rest, _ := io.ReadAll(body); string(rest) != input {
			t.Errorf("%.60q: %.60q is left to read", input, rest)
		}
	}
}

func FuzzSideband(f *testing.F) {
	f.Add([]byte("0009\x02hi\n\n0000"))
	f.Add([]byte("zzzz"))
	f.Fuzz(func(t *testing.T, output []byte) {
		s := &sideband{to: io.Discard}
		s.Write(output)
		fmt.Fprintln(s.messages(), "text")
		s.finish()
	})
}
