package volume

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
)

// heard returns what the next client sends first.
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

// A socket can be reached however long the volume's path is, also after a killed server has left
// one.
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
			l, err := v.ListenKeyed("run/app")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conn, err := v.Dial(t.Context(), "run/app")
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
			io.WriteString(conn, strings.Repeat("hello", 10)) // without the key
			if said := heard(t, l); said != "" {
				t.Errorf("heard %q of somebody without the key", said)
			}
			conn.Close()
			if info, err := os.Stat(v.socket("run/app")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		}
	}
	if _, err := (&Volume{Root: short}).Dial(t.Context(), "other"); err == nil {
		t.Error("somebody answers where nobody listens")
	}
}

// Somebody else may own what a server has left in /tmp by the time it is used: Dial sends no key
// there.
func TestSocketOfSomebodyElse(t *testing.T) {
	v := &Volume{Root: filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	l, err := v.ListenKeyed("run/app")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := filepath.Dir(l.Addr().String())
	refused := func(what string) {
		t.Helper()
		conn, err := v.Dial(t.Context(), "run/app")
		if err == nil {
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "is not the server's folder") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	refused("anybody may write there")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		refused("it is another user's")
		if err := os.Chown(dir, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+".moved", dir); err != nil {
		t.Fatal(err)
	}
	refused("it is a link")
	os.Remove(dir)
	if err := os.Rename(dir+".moved", dir); err != nil {
		t.Fatal(err)
	}
	conn, err := v.Dial(t.Context(), "run/app")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// In containers the folder of a socket may be a mount of its own.
func TestSocketOnAnotherMount(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to mount a disk")
	}
	v := testVolume(t)
	if err := os.Remove(filepath.Join(v.Root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(rig.SmallDisk(t), filepath.Join(v.Root, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := v.ListenKeyed("link/certs")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
