package router

import (
	"net"
	"time"
)

// keepAlive finds clients whose machine has gone without a word, where nothing is being sent to them.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}
