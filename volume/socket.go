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

	"paas/durable"
)

// maxSocket is the longest path of a socket that every system takes: sun_path holds 104 bytes on
// darwin and 108 on linux, with the zero at its end (unix(4), unix(7)).
const maxSocket = 103

// Listen opens the socket <name>.sock below the root, such as run/app, for other processes of this
// volume, also in other containers. Only its owner may connect. The caller has claimed the role that
// answers there, so whoever had the socket before is gone. If the path is too long for a socket, the
// socket is in a folder of its own, and <name>.sock is a link to it.
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
	return tempListener{l, dir}, nil
}

// ListenKeyed is Listen, but a client must first send what is in <name>.key, as [Volume.Dial]
// does: an app may run as the volume's owner, and Landlock keeps it from files, but not from
// sockets.
func (v *Volume) ListenKeyed(name string) (net.Listener, error) {
	key := rand.Text()
	// Beside it, not in tmp/: the folder may be another mount in a container. The disk may be full: then
	// the key of the last start will do.
	if err := durable.Replace(v.key(name), v.key(name)+".new", []byte(key), 0o600); err != nil {
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

// listenPrivately makes a socket in a private folder, so that nobody connects before the mode is
// set.
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

// tempListener removes its folder when it is closed.
type tempListener struct {
	net.Listener
	dir string
}

func (l tempListener) Close() error {
	return errors.Join(l.Listener.Close(), os.RemoveAll(l.dir))
}

// Dial connects to the socket <name>.sock of [Volume.ListenKeyed]. It returns an error if
// somebody else may have put a socket in its place.
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

// checkPrivate returns an error unless dir belongs to the volume's owner or root, and nobody else
// may write into it. A server that was killed leaves its folder in /tmp. After something has
// removed it, anybody may make one of the same name, and Dial would send them the key.
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
	if !info.IsDir() || info.Mode().Perm() != 0o700 ||
		owner != 0 && owner != own.Sys().(*syscall.Stat_t).Uid {
		return fmt.Errorf("%s is not the server's folder; start the server again", dir)
	}
	return nil
}

func (v *Volume) socket(name string) string { return filepath.Join(v.Root, name+".sock") }
func (v *Volume) key(name string) string    { return filepath.Join(v.Root, name+".key") }

// keyed is a listener whose clients must send its key first.
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
		sent := make([]byte, len(l.key))
		if _, err := io.ReadFull(l.Conn, sent); err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare(sent, []byte(l.key)) != 1 {
			l.Conn.Close()
			return 0, errKey
		}
		l.opened = true
	}
	return l.Conn.Read(p)
}
