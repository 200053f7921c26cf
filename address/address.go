// Package address knows where each role of the server can be reached: by people, and by processes
// on the same machine.
package address

import "net"

// Address is where a role can be reached.
type Address struct {
	Listen string `json:"listen"`          // host:port of the socket; empty: the role has none
	Host   string `json:"host"`            // for people
	Port   string `json:"port"`            // for people; a container's published one
	First  string `json:"first,omitempty"` // the app that answers at Host itself
	HTTPS  string `json:"https,omitempty"` // the port for HTTPS, for people; empty: there is none
	Git    bool   `json:"git,omitempty"`   // it leads to git over HTTP
}

// Local returns the host:port for processes on this machine.
func (a Address) Local() string {
	host, port, _ := net.SplitHostPort(a.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // a machine need not know the name localhost
	}
	return net.JoinHostPort(host, port)
}

// withPort returns host:port, without the port if clients use it by default.
func (a Address) withPort(host, usual string) string { return withPort(host, a.Port, usual) }

func withPort(host, port, usual string) string {
	if port == usual {
		return host
	}
	return net.JoinHostPort(host, port)
}
