package child

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listening is where process pid and its kin listen for TCP: "3000" for any or the usual loopback
// address, "[::1]:3000" for others. Empty where /proc does not tell.
func listening(pid int) []string {
	if pid <= 0 {
		return nil
	}
	sockets := map[string]string{} // "socket:[inode]", as a descriptor is linked to -> where
	for _, table := range []string{"tcp", "tcp6"} {
		content, _ := os.ReadFile(procPath(pid, "net/"+table)) // its network, should it be another
		for line := range strings.Lines(string(content)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			if fields := strings.Fields(line); len(fields) > inode && fields[state] == listen {
				sockets["socket:["+fields[inode]+"]"] = tableAddr(fields[local])
			}
		}
	}
	var where []string
	for _, p := range (kin{leaders: []int{pid}}).find() {
		dir := procPath(p.pid, "fd")
		descriptors, _ := os.ReadDir(dir)
		for _, d := range descriptors {
			target, _ := os.Readlink(dir + "/" + d.Name())
			if addr := sockets[target]; addr != "" {
				where = append(where, addr)
			}
		}
	}
	slices.Sort(where)
	return slices.Compact(where)
}

// tableAddr reads an address of /proc/net/tcp: 32-bit words of hexadecimal digits in the machine's
// byte order, a colon, the port (proc_net_tcp in the kernel's documentation).
func tableAddr(text string) string {
	words, portText, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(words)
	port, portErr := strconv.ParseUint(portText, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return ""
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	number := strconv.FormatUint(port, 10)
	if !ok || addr.IsUnspecified() || addr.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return number
	}
	return net.JoinHostPort(addr.Unmap().String(), number)
}
