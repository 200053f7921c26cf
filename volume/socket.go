package volume

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocket is how long a socket's path may be everywhere: sun_path holds 104 bytes on darwin and
// 108 on linux, its end included (unix(4), unix(7)).
const maxSocket = 103

// Listen opens the socket run/<name>.sock, for other processes of this volume, in other containers
// too. Its owner alone may connect. Whoever had it before is gone: the caller has claimed the role
// that answers there. Where the path is too long for a socket, that is in a folder of its own and
// run/<name>.sock a link to it.
func (v *Volume) Listen(name string) (net.Listener, error) {
	path := v.socket(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(path) <= maxSocket {
		return listenPrivately(path)
	}
	dir, err := os.MkdirTemp("/tmp", "paas-") // private: 0700
	if err != nil {
		return nil, err
	}
	l, err := listenPrivately(filepath.Join(dir, filepath.Base(path)))
	if err == nil {
		err = os.Symlink(l.Addr().String(), path)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return farListener{l, dir}, nil
}

// ListenKeyed is Listen where only those are heard who say first what is in run/<name>.key, as [Volume.Dial]
// does: an app may run as the volume's owner too, and Landlock keeps it from files, but not from sockets.
func (v *Volume) ListenKeyed(name string) (net.Listener, error) {
	key := rand.Text()
	if err := v.WriteFile(v.key(name), []byte(key), 0o600); err != nil { // a full disk: the key of the last start is as good
		old, readErr := os.ReadFile(v.key(name))
		if readErr != nil || len(old) != len(key) {
			return nil, err
		}
		key = string(old)
	}
	l, err := v.Listen(name)
	if err != nil {
		return nil, err
	}
	return keyed{l, key}, nil
}

// listenPrivately makes a socket in a folder that nobody else enters, so nobody connects before the mode is set.
func listenPrivately(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// farListener takes its folder away with it.
type farListener struct {
	net.Listener
	dir string
}

func (l farListener) Close() error {
	return errors.Join(l.Listener.Close(), os.RemoveAll(l.dir))
}

// Dial connects to the socket run/<name>.sock of [Volume.ListenKeyed]. It returns an error where somebody else may
// have put a socket in its place.
func (v *Volume) Dial(ctx context.Context, name string) (net.Conn, error) {
	path := v.socket(name)
	if len(path) > maxSocket {
		link, err := os.Readlink(path)
		if err == nil {
			err = v.checkPrivate(filepath.Dir(link))
		}
		if err != nil {
			return nil, err
		}
		path = link
	}
	key, err := os.ReadFile(v.key(name))
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(key); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPrivate returns an error unless dir belongs to the volume's owner or root, and nobody else may write into it. A server that
// was killed leaves its folder in /tmp behind. Once something has tidied that up, anybody may make one of the
// same name, and would be told the key.
func (v *Volume) checkPrivate(dir string) error {
	own, err := os.Stat(filepath.Join(v.Root, "run"))
	if err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || info.Mode().Perm() != 0o700 || owner != 0 && owner != own.Sys().(*syscall.Stat_t).Uid {
		return fmt.Errorf("%s is not the server's folder; start the server again", dir)
	}
	return nil
}

func (v *Volume) socket(name string) string { return filepath.Join(v.Root, "run", name+".sock") }
func (v *Volume) key(name string) string    { return filepath.Join(v.Root, "run", name+".key") }

// keyed lets only those be heard who say its key first.
type keyed struct {
	net.Listener
	key string
}

func (k keyed) Accept() (net.Conn, error) {
	conn, err := k.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &locked{Conn: conn, key: k.key}, nil
}

// locked is a connection whose first read waits for the key.
type locked struct {
	net.Conn
	key    string
	opened bool
}

var errKey = errors.New("the wrong key")

func (l *locked) Read(p []byte) (int, error) {
	if !l.opened {
		said := make([]byte, len(l.key))
		if _, err := io.ReadFull(l.Conn, said); err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare(said, []byte(l.key)) != 1 {
			l.Conn.Close()
			return 0, errKey
		}
		l.opened = true
	}
	return l.Conn.Read(p)
}
