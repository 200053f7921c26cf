package child

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
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
		p.openFiles(func(target string) bool {
			if addr := sockets[target]; addr != "" {
				where = append(where, addr)
			}
			return false
		})
	}
	slices.Sort(where)
	return slices.Compact(where)
}

// holder is the one of list that has the socket with this inode open; false: none has.
func holder(list []relative, inode uint32) (relative, bool) {
	name := fmt.Sprintf("socket:[%d]", inode)
	for _, p := range list {
		if !p.openFiles(func(target string) bool { return target == name }) {
			continue
		}
		// Else it may have ended, and its number be another's by now, whose files these are.
		if now, ok := readStat(p.pid); ok && now.started == p.started {
			return p, true
		}
	}
	return relative{}, false
}

// openFiles calls f with what each descriptor of the process is linked to, until f returns true, and reports
// whether it did.
func (p relative) openFiles(f func(target string) bool) bool {
	dir := procPath(p.pid, "fd")
	descriptors, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer descriptors.Close()
	for {
		names, err := descriptors.Readdirnames(256)
		for _, name := range names {
			if target, err := os.Readlink(dir + "/" + name); err == nil && f(target) {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
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
