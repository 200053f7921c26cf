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

// listening returns where process pid and its tree listen for TCP, see [Child.Listening].
func listening(pid int) []string {
	if pid <= 0 {
		return nil
	}
	sockets := map[string]string{} // "socket:[inode]", as in /proc/<pid>/fd -> address
	for _, table := range []string{"tcp", "tcp6"} {
		content, _ := os.ReadFile(procPath(pid, "net/"+table)) // of its network namespace
		for line := range strings.Lines(string(content)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			if fields := strings.Fields(line); len(fields) > inode && fields[state] == listen {
				sockets["socket:["+fields[inode]+"]"] = tableAddr(fields[local])
			}
		}
	}
	var addrs []string
	for _, p := range (processTree{leaders: []int{pid}}).find() {
		p.openFiles(func(target string) bool {
			if addr := sockets[target]; addr != "" {
				addrs = append(addrs, addr)
			}
			return false
		})
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// holder returns the process of list that has the socket with this inode open.
func holder(list []process, inode uint32) (process, bool) {
	name := fmt.Sprintf("socket:[%d]", inode)
	for _, p := range list {
		if !p.openFiles(func(target string) bool { return target == name }) {
			continue
		}
		// else the process has ended, and these are the files of another with its id
		if now, ok := readStat(p.pid); ok && now.started == p.started {
			return p, true
		}
	}
	return process{}, false
}

// openFiles calls f with the link target of each descriptor until f returns true, and reports
// whether it did.
func (p process) openFiles(f func(target string) bool) bool {
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

// tableAddr reads an address of /proc/net/tcp: hexadecimal 32-bit words in the machine's byte
// order, a colon and the port (proc_net_tcp in the kernel's documentation).
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
