package local

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports for web processes: below the ephemeral range (from 32768 on Linux, 49152 elsewhere), in
// which any outgoing connection may sit on the port an app is about to listen on.
const firstPort, lastPort = 20000, 31999

// takePort finds a free TCP port and keeps it from other processes until freePort. It starts
// anywhere, so that two servers on one machine seldom meet and a port just left rests.
func (l *Local) takePort() (int, error) {
	const count = lastPort - firstPort + 1
	for start, i := rand.IntN(count), 0; i < count; i++ {
		port := firstPort + (start+i)%count
		if l.reserve(port) {
			if portIsFree(port) {
				return port, nil
			}
			l.freePort(port)
		}
	}
	return 0, errors.New("no free port between 20000 and 31999")
}

func (l *Local) reserve(port int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ports[port] {
		return false
	}
	l.ports[port] = true
	return true
}

func (l *Local) freePort(port int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ports, port)
}

// portIsFree tries all addresses at once: an app may want to listen on any of them.
func portIsFree(port int) bool {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
