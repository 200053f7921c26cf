package router

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseHost normalizes a Host header or the authority of a URL: lower case, without port and
// trailing dot, IPv6 literals without brackets. ok is false unless the host is an IP address, or a
// name made of letters, digits, '-' and '_' in labels of 1 to 63 characters, at most 253 in all
// (RFC 9110 section 7.2, RFC 3986 section 3.2.2, RFC 1123 section 2.1; '_' because it is in use).
func parseHost(s string) (host string, ok bool) {
	if strings.HasPrefix(s, "[") {
		literal, port, ok := strings.Cut(s[1:], "]")
		if !ok || port != "" && (port[0] != ':' || !isPort(port[1:])) {
			return "", false
		}
		ip, err := netip.ParseAddr(literal)
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", false
		}
		return ip.String(), true
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if !isPort(s[i+1:]) {
			return "", false
		}
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	if len(s) == 0 || len(s) > 253 {
		return "", false
	}
	label, upper := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case 'A' <= c && c <= 'Z':
			upper = true
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}

// isPort reports whether s is a port as RFC 3986 allows it: digits up to 65535, or nothing.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil
}

// portOf returns the port of a host that parseHost accepted, or the scheme's default port.
func portOf(host string, tls bool) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') &&
		i+1 < len(host) {
		return host[i+1:]
	}
	if tls {
		return "443"
	}
	return "80"
}
