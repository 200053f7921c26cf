package keeper

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// notify tells the service manager a state (sd_notify(3)), if there is one. One that does not listen
// must not stop the keeper.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	conn.Write([]byte(state))
}

// notifyReloading tells the service manager that a reload begins. It compares the time with that of
// its signal.
func notifyReloading() {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// watchdog tells the service manager that the keeper lives, if it wants to know
// (sd_watchdog_enabled(3)), until ctx ends.
func (k *Keeper) watchdog(ctx context.Context) {
	own := strconv.Itoa(os.Getpid())
	every, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	if err != nil || every <= 0 || cmp.Or(os.Getenv("WATCHDOG_PID"), own) != own {
		return
	}
	tick := time.NewTicker(time.Duration(every) * time.Microsecond / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.Thread(func() { notify("WATCHDOG=1") })
		}
	}
}
