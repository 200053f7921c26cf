package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// patience is how long one answer over the network may take.
const patience = 3 * time.Second

// Names looks up a name below the domain that nobody has asked for before, as the next app's would be,
// and returns its addresses. It blocks for up to 3 seconds.
func Names(ctx context.Context, resolver *net.Resolver, domain string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := "doctor-" + strings.ToLower(rand.Text()[:10]) + "." + domain
	return resolver.LookupNetIP(ctx, "ip", name)
}

// Elsewhere returns those of the addresses that no interface of this machine has.
func Elsewhere(addrs []netip.Addr) ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := map[netip.Addr]bool{}
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok {
			ip, _ := netip.AddrFromSlice(network.IP)
			own[ip.Unmap()] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		return own[a.Unmap()] || a.IsLoopback()
	}), nil
}

// Reach connects to a port of an address and hangs up. It blocks for up to 3 seconds.
func Reach(ctx context.Context, addr netip.Addr, port string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Clock returns by how much this machine's clock is ahead of that of a web server, to a second or so.
// It blocks for up to 3 seconds.
func Clock(ctx context.Context, client *http.Client, url string) (ahead time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("%s does not say what time it is", url)
	}
	return time.Since(theirs), nil
}
