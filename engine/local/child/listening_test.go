package child

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"paas/rig"
)

// listenUntilKilled prints the inode of a listening socket.
func listenUntilKilled() {
	inode, err := inodeOf(net.Listen("tcp", "127.0.0.1:0"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(inode)
	select {}
}

func inodeOf(l net.Listener, err error) (inode uint32, _ error) {
	if err != nil {
		return 0, err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return 0, err
	}
	var stat syscall.Stat_t
	if controlErr := raw.Control(func(fd uintptr) {
		err = syscall.Fstat(int(fd), &stat)
	}); controlErr != nil {
		return 0, controlErr
	}
	return uint32(stat.Ino), err
}

// A socket belongs to the command if any process that it has started owns it.
func TestHolds(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: only Linux knows the owners of a socket")
	}
	k := newKeeper(t)
	other := begin(t, k, "sleep 1000", nil, io.Discard)
	for what, line := range map[string]string{
		"the command":         `exec "$PROGRAM"`,
		"a child":             `"$PROGRAM"; :`,
		"an orphan that fled": `(setsid "$PROGRAM" &); sleep 1000`,
	} {
		out := &rig.Screen{}
		c := begin(t, k, line, map[string]string{"TEST_LISTEN": "1", "PROGRAM": os.Args[0]}, out)
		rig.Eventually(t, what+" listens",
			func() bool { return strings.HasSuffix(out.String(), "\n") })
		var inode uint32
		if _, err := fmt.Sscan(out.String(), &inode); err != nil {
			t.Fatal(out.String())
		}
		for range 2 { // the second time it is remembered
			if !c.Holds(inode) {
				t.Errorf("%s: Holds does not find the socket", what)
			}
		}
		if other.Holds(inode) {
			t.Errorf("%s: Holds finds another command's socket", what)
		}
		for _, none := range []uint32{inode + 1, 0} {
			if c.Holds(none) {
				t.Errorf("%s: Holds finds socket %d, which is none of the command's", what, none)
			}
		}
		c.Stop(0)
		if c.Holds(inode) {
			t.Errorf("%s: Holds finds the socket after the end", what)
		}
	}
}
