package remote

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// A port that speaks something else, or nothing, is reported without the words of a library.
func TestAnotherProtocol(t *testing.T) {
	for _, test := range []struct {
		scheme, first, answer string // the server sends answer when it has read a line, or first
		want                  string
	}{
		{scheme: "http", first: "SSH-2.0-OpenSSH_9.2\r\n", want: "does not speak http; check the URL"},
		{scheme: "http", answer: "-ERR unknown command 'GET'\r\n", want: "does not speak http; check the URL"},
		{scheme: "http", want: "hangs up without an answer; check the URL"},
		{scheme: "https", first: "220 mail ESMTP\r\n", want: "does not speak https; check the URL"},
		{scheme: "https", answer: "HTTP/1.1 400 Bad Request\r\n\r\n", want: "does not speak https; check the URL"},
		{scheme: "ssh", answer: "HTTP/1.1 400 Bad Request\r\n\r\n", want: "does not speak SSH, or hangs up on this server; check the URL"},
		{scheme: "ssh", want: "does not speak SSH, or hangs up on this server; check the URL"},
		{scheme: "git", first: "SSH-2.0-OpenSSH_9.2\r\n", want: "does not speak git's protocol; check the URL"},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				io.WriteString(conn, test.first)
				bufio.NewReader(conn).ReadByte()
				io.WriteString(conn, test.answer)
				conn.Close()
			}
		}()
		url := test.scheme + "://" + ln.Addr().String() + "/x"
		_, err = newClient(t).Head(t.Context(), Remote{URL: url}, Ref{})
		if err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s, %q, %q: %v", test.scheme, test.first, test.answer, err)
		}
		if test.scheme == "ssh" {
			if _, _, err = HostKey(t.Context(), url); err == nil ||
				!strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("host key, %q: %v", test.answer, err)
			}
		}
		ln.Close()
	}
}

// A host that cannot be reached is named in the same way.
func TestNothingThere(t *testing.T) {
	closed := freePort(t)
	for url, want := range map[string]string{
		"http://" + closed + "/x":   "nothing listens on port",
		"ssh://" + closed + "/x":    "nothing listens on port",
		"https://nowhere.invalid/x": "there is no host nowhere.invalid",
		"git://nowhere.invalid/x":   "there is no host nowhere.invalid",
	} {
		_, err := newClient(t).Head(t.Context(), Remote{URL: url}, Ref{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
