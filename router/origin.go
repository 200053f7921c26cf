package router

import (
	"net/netip"
	"slices"
	"strings"
)

// origin is where a request comes from: what the connection shows, or what a trusted proxy says.
type origin struct {
	from  string // the client's IP address
	https bool
	host  string // with an optional port
	port  string
	chain string // the value of X-Forwarded-For for the app
}

// findOrigin sets x.origin. A front is believed as it is, and of a client that is no trusted proxy
// nothing is.
func (x *exchange) findOrigin() {
	c := x.client
	x.origin = origin{from: c.remote, https: c.tls, host: x.req.authority, chain: c.remote}
	switch {
	case c.front:
		x.believe()
		x.chain, x.from = x.req.header.get("X-Forwarded-For"), x.req.header.get("X-Real-Ip")
	case c.trusted:
		x.believe()
		x.findClient()
	}
	x.port = portOf(x.host, x.https)
}

// believe takes what X-Forwarded-Host and -Proto say. Few proxies set -Port, and the others pass on
// what their client says; the host has it.
func (x *exchange) believe() {
	h := x.req.header
	switch proto, _, _ := strings.Cut(h.get("X-Forwarded-Proto"), ","); {
	case equalFold(strings.TrimSpace(proto), "https"):
		x.https = true
	case equalFold(strings.TrimSpace(proto), "http"):
		x.https = false
	}
	if host := h.get("X-Forwarded-Host"); host != "" {
		if _, ok := parseHost(host); ok {
			x.host = host
		}
	}
}

// findClient takes the client's address from X-Forwarded-For: the last one that is not a trusted
// proxy's, for those before it can be its own invention. It adds the proxy's own.
func (x *exchange) findClient() {
	hops := strings.Join(x.req.header.values("X-Forwarded-For"), ", ")
	if hops != "" {
		x.chain = hops + ", " + x.chain
	}
	for _, hop := range slices.Backward(strings.Split(hops, ",")) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		x.from = ip.Unmap().WithZone("").String() // a zone can be any text
		if !x.router.Trusts(ip) {
			break
		}
	}
}

// Trusts reports whether ip is a proxy whose X-Forwarded-* fields are believed.
func (r *Router) Trusts(ip netip.Addr) bool { return contains(r.TrustedProxies, ip) }

// contains reports whether one of the ranges has ip.
func contains(ranges []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}
