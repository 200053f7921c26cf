package volume

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
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

// Dial connects to the socket run/<name>.sock.
func (v *Volume) Dial(ctx context.Context, name string) (net.Conn, error) {
	path := v.socket(name)
	if len(path) > maxSocket {
		link, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		path = link
	}
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

func (v *Volume) socket(name string) string { return filepath.Join(v.Root, "run", name+".sock") }
