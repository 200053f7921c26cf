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
// answers there. Clients who come from now on reach it, and no longer a server that had it before. If
// the path is too long for a socket, the socket is in a folder of its own, and <name>.sock is a link
// to it.
func (v *Volume) Listen(name string) (net.Listener, error) {
	path := v.socket(name)
	if len(path) <= maxSocket {
		return listenPrivately(path)
	}
	dir, err := os.MkdirTemp("/tmp", "paas-") // private: 0700
	if err != nil {
		return nil, err
	}
	l, err := listenPrivately(filepath.Join(dir, filepath.Base(path)))
	if err == nil {
		os.Remove(beside(path))
		if err = os.Symlink(l.Addr().String(), beside(path)); err == nil {
			err = os.Rename(beside(path), path)
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return tempListener{l, dir}, nil
}

// beside returns a path in the same folder that is as long.
func beside(path string) string {
	dir, base := filepath.Split(path)
	return dir + "~" + base[1:]
}

// ListenKeyed is Listen, but a client must first send what is in <name>.key, as [Volume.Dial]
// does: an app may run as the volume's owner, and Landlock keeps it from files, but not from
// sockets. The key stays as it is, for clients that have read it when another server takes over.
func (v *Volume) ListenKeyed(name string) (net.Listener, error) {
	key := rand.Text()
	if old, err := os.ReadFile(v.key(name)); err == nil && len(old) == len(key) {
		key = string(old)
	} else if err := durable.Replace(v.key(name), v.key(name)+".new", []byte(key), 0o600); err != nil {
		// beside it, not in tmp/: the folder may be another mount in a container
		return nil, err
	}
	l, err := v.Listen(name)
	if err != nil {
		return nil, err
	}
	return keyed{l, key}, nil
}

// listenPrivately makes a socket that nobody reaches before its mode is set.
func listenPrivately(path string) (net.Listener, error) {
	new := beside(path)
	if err := os.Remove(new); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", new)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(new, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	file, err := os.Lstat(new)
	if err == nil {
		err = os.Rename(new, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &moved{l, path, file}, nil
}

// moved is a listener whose socket has another path since it was opened.
type moved struct {
	net.Listener
	path string
	file fs.FileInfo
}

func (m *moved) Addr() net.Addr { return &net.UnixAddr{Name: m.path, Net: "unix"} }

// Close leaves the path to another server that has it by now.
func (m *moved) Close() error {
	if now, err := os.Lstat(m.path); err == nil && os.SameFile(now, m.file) {
		os.Remove(m.path)
	}
	return m.Listener.Close()
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
