package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// relative is one process as /proc/<pid>/stat shows it (proc_pid_stat(5)).
type relative struct {
	pid, parent, group, session int
	state                       byte
	kernel                      bool   // a thread of the kernel's own
	started                     string // clock ticks since boot; with pid it names a process for ever
}

// find lists those that live. A zombie does not: it waits only for its parent.
func (k kin) find() []relative {
	var others, found []relative
	isKin := map[int]bool{}
	for _, p := range allProcesses() {
		if slices.Contains(k.leaders, p.group) || slices.Contains(k.leaders, p.session) || k.knows(p) || k.marks(p.pid) {
			isKin[p.pid] = true
			found = append(found, p)
		} else {
			others = append(others, p)
		}
	}
	for more := true; more && len(found) > 0; { // a child may come before its parent
		more = false
		others = slices.DeleteFunc(others, func(p relative) bool {
			if !isKin[p.parent] {
				return false
			}
			isKin[p.pid], more = true, true
			found = append(found, p)
			return true
		})
	}
	return slices.DeleteFunc(found, func(p relative) bool { return p.state == 'Z' || p.state == 'X' })
}

// allProcesses leaves out the first process, this one, and the kernel's threads. Those are known by
// their flag: session 0, which they have too, is also that of every process whose session began
// outside the PID namespace, as under docker exec.
func allProcesses() []relative {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var all []relative
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 || pid == os.Getpid() {
			continue
		}
		if p, ok := readStat(pid); ok && !p.kernel {
			all = append(all, p)
		}
	}
	return all
}

// besides are the processes in the PID namespace of process pid, where that is not this one's. What is started there
// cannot leave it, however it hides.
func besides(pid int) []relative {
	own, _ := os.Readlink("/proc/self/ns/pid")
	theirs, err := os.Readlink(procPath(pid, "ns/pid"))
	if err != nil || theirs == own {
		return nil
	}
	return slices.DeleteFunc(allProcesses(), func(p relative) bool {
		namespace, _ := os.Readlink(procPath(p.pid, "ns/pid"))
		return namespace != theirs
	})
}

func readStat(pid int) (relative, bool) {
	content, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return relative{}, false
	}
	name := bytes.LastIndexByte(content, ')') // the name before it may hold anything, ) too
	fields := strings.Fields(string(content[name+1:]))
	if name < 0 || len(fields) < 20 {
		return relative{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	const kernelThread = 0x00200000 // PF_KTHREAD of linux/sched.h
	return relative{
		pid: pid, state: fields[0][0], parent: number(1), group: number(2), session: number(3),
		kernel: number(6)&kernelThread != 0, started: fields[19],
	}, true
}

// knows says whether p was found earlier.
func (k kin) knows(p relative) bool {
	return slices.ContainsFunc(k.known, func(q relative) bool { return p.pid == q.pid && p.started == q.started })
}

// marks says whether the process carries the Marker.
func (k kin) marks(pid int) bool {
	if k.mark == "" {
		return false
	}
	f, err := os.Open(procPath(pid, "environ"))
	if err != nil {
		return false
	}
	defer f.Close()
	content, _ := io.ReadAll(io.LimitReader(f, 4<<20))
	for entry := range bytes.SplitSeq(content, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(Marker+"=")); ok {
			return bytes.HasPrefix(value, []byte(k.mark))
		}
	}
	return false
}

// signal goes through a handle on the process, since its number may by now be another's.
func (p relative) signal(sig unix.Signal) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ENOSYS) {
		unix.Kill(p.pid, sig)
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, ok := readStat(p.pid); ok && now.started == p.started {
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}
