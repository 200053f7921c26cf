// Package visitor asks a server for pages, as the visitors of its apps do. Only tests import it.
package visitor

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Get asks the port of this machine for a page of a host, and returns status and body. It uses a
// connection of its own and blocks for 30 s at most.
func Get(port, host, path string) (int, string, error) {
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = host
	client := http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Load is a visitor who asks steadily, one request at a time.
type Load struct {
	quit, done chan struct{}
	stop       sync.Once

	// After Stop.
	Requests int
	Failures []string // the answers other than a 200
}

// Start begins to call get, with each pause between the calls if they are fast enough.
func Start(each time.Duration, get func() (code int, body string, err error)) *Load {
	l := &Load{quit: make(chan struct{}), done: make(chan struct{})}
	go l.run(each, get)
	return l
}

func (l *Load) run(each time.Duration, get func() (int, string, error)) {
	defer close(l.done)
	tick := time.NewTicker(each)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		l.Requests++
		if code, body, err := get(); err != nil || code != 200 {
			l.Failures = append(l.Failures, fmt.Sprint(code, " ", err, " ", body))
		}
	}
}

// Stop ends the requests, and blocks until the last one is answered. Calling it again is harmless.
func (l *Load) Stop() {
	l.stop.Do(func() { close(l.quit) })
	<-l.done
}

// usedPorts are the ports that FreePort has returned. Nobody may listen on them yet.
var usedPorts sync.Map

// FreePort returns a port that is free at ip, below the ranges of apps and the system. An empty ip
// stands for all addresses of this machine.
func FreePort(ip string) string {
	for {
		port := fmt.Sprint(10000 + rand.IntN(9999))
		if _, taken := usedPorts.LoadOrStore(port, true); taken {
			continue
		}
		if ln, err := net.Listen("tcp", net.JoinHostPort(ip, port)); err == nil {
			ln.Close()
			return port
		}
	}
}
