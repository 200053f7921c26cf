// Package address tells where each role of the server is reached: the addresses that people type, and those
// that a process on the same machine connects to. It does not know who listens.
package address

import "net"

// Address is where a role is reached.
type Address struct {
	Listen string `json:"listen"`          // host:port of the socket; empty: the role has none
	Host   string `json:"host"`            // for people
	Port   string `json:"port"`            // for people; a container's published one
	First  string `json:"first,omitempty"` // the app that answers at Host itself
}

// Local is host:port as a process on this machine connects to it.
func (a Address) Local() string {
	host, port, _ := net.SplitHostPort(a.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// withPort is host:port, without the port if a client assumes it.
func (a Address) withPort(host, usual string) string {
	if a.Port == usual {
		return host
	}
	return net.JoinHostPort(host, a.Port)
}
