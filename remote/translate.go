package remote

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// translate returns err, from the network or a library, in words for people who typed the URL. It
// wraps err. Other errors are returned as they are.
func (a address) translate(err error) error {
	text := err.Error()
	var name *net.DNSError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return errorf(err, "there is no host %s; check the URL", printable(name.Name))
	case Unreachable(err) && errors.Is(err, syscall.ECONNREFUSED):
		return errorf(err, "nothing listens on port %s (connection refused); check the URL, and "+
			"that the server runs", a.port)
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return errorf(err, "port %s does not speak https; check the URL", a.port)
	case strings.Contains(text, "malformed HTTP"),
		// An answer that came before the request was sent.
		strings.Contains(text, "readLoopPeekFailLocked: %!w(<nil>)"):
		return errorf(err, "port %s does not speak http; check the URL", a.port)
	case strings.Contains(text, "overflow reading version string"),
		strings.Contains(text, "handshake failed") && isHangup(err):
		return errorf(err, "port %s does not speak SSH, or hangs up on this server; check the URL",
			a.port)
	case isHangup(err):
		return errorf(err, "port %s hangs up without an answer; check the URL", a.port)
	}
	return err
}

// isHangup reports whether the server closed the connection. Package ssh returns that only as text.
func isHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || strings.HasSuffix(err.Error(), "EOF") ||
		strings.HasSuffix(err.Error(), "connection reset by peer")
}
