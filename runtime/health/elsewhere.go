package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listening lists where s listens, as "3000" or "10.0.0.1:3000", if that can be found out.
func listening(s Subject) []string {
	known, ok := s.(interface{ Listening() []string })
	if !ok {
		return nil
	}
	return known.Listening()
}

// elsewhere says where s listens instead of its own port, or "" if that is not known.
func elsewhere(s Subject) string {
	where := listening(s)
	if len(where) == 0 {
		return ""
	}
	if _, port, _ := net.SplitHostPort(s.Addr()); len(where) == 1 && strings.HasSuffix(where[0],
		":"+port) {
		return fmt.Sprintf("; it listens on %s alone: listen on 127.0.0.1 or 0.0.0.0", where[0])
	}
	return fmt.Sprintf("; it listens on %s: use PORT, the port in the environment",
		strings.Join(where, ", "))
}

// otherPort finds out whether a process has made another port than its own its address. A debugger
// or a port for metrics may be open before the process listens on its own.
type otherPort struct {
	own    string
	checks []Check

	next  time.Time       // of the next look: each costs a look at all processes
	since time.Time       // when it was first seen to serve on another port
	serve map[string]bool // port -> whether visitors are answered there
}

const (
	lookEvery   = 200 * time.Millisecond
	settleAfter = 5 * time.Second
)

// settled reports whether s, whose own port does not answer, has answered visitors on another port
// for a while. It may block for a second.
func (o *otherPort) settled(ctx context.Context, s Subject) bool {
	if time.Now().Before(o.next) {
		return false
	}
	o.next = time.Now().Add(lookEvery)
	where := listening(s)
	if slices.Contains(where, o.own) || !slices.ContainsFunc(where, func(addr string) bool {
		return o.serves(ctx, s, addr)
	}) {
		o.since = time.Time{}
		return false
	}
	if o.since.IsZero() {
		o.since = time.Now()
	}
	return time.Since(o.since) >= settleAfter
}

// serves reports whether s answers visitors at addr, which is not where it should.
func (o *otherPort) serves(ctx context.Context, s Subject, addr string) bool {
	text := addr[strings.LastIndex(addr, ":")+1:]
	port, err := strconv.Atoi(text)
	if err != nil || slices.ContainsFunc(o.checks, func(c Check) bool { return c.Port == port }) {
		return false
	}
	if text == o.own { // on another address alone
		return true
	}
	known, ok := o.serve[addr]
	if !ok {
		known = answersHTTP(ctx, s, port)
		if o.serve == nil {
			o.serve = map[string]bool{}
		}
		o.serve[addr] = known
	}
	return known
}

// answersHTTP reports whether s answers a visitor's request at port. A debugger does not: that of
// Node answers 400. An address that cannot be reached from here may be one for visitors.
func answersHTTP(ctx context.Context, s Subject, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := s.Dial(ctx, port)
	if err != nil {
		return true
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(conn, answer)
	text := string(answer)
	return err == nil && strings.HasPrefix(text, "HTTP/") && !strings.HasSuffix(text, " 400")
}
