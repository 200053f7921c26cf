package volume

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// heard is what the next to connect says first.
func heard(t *testing.T, l net.Listener) string {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := make([]byte, 5)
	n, _ := conn.Read(said)
	return string(said[:n])
}

// A socket is reached however deep the volume lies, and again where a killed server left one behind.
func TestSocket(t *testing.T) {
	short, err := os.MkdirTemp("/tmp", "v")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	for _, root := range []string{short, filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))} {
		v := &Volume{Root: root}
		if err := v.Open(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			l, err := v.ListenKeyed("app")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conn, err := v.Dial(t.Context(), "app")
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, "hello")
			if said := heard(t, l); said != "hello" {
				t.Errorf("heard %q", said)
			}
			conn.Close()
			if conn, err = net.Dial("unix", l.Addr().String()); err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, strings.Repeat("hello", 10)) // and no key
			if said := heard(t, l); said != "" {
				t.Errorf("heard %q of somebody without the key", said)
			}
			conn.Close()
			if info, err := os.Stat(v.socket("app")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		}
	}
	if _, err := (&Volume{Root: short}).Dial(t.Context(), "other"); err == nil {
		t.Error("somebody answers where nobody listens")
	}
}
