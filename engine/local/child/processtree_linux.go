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
	"time"

	"golang.org/x/sys/unix"
)

// process is a process as /proc/<pid>/stat describes it (proc_pid_stat(5)).
type process struct {
	pid, parent, group, session int
	state                       byte
	kernel                      bool   // a kernel thread
	noEnv                       bool   // has an empty environment, or has ended
	started                     string // clock ticks since boot; with pid it is unique
}

// find lists the live processes, without zombies.
func (t processTree) find() []process {
	var others, found []process
	inTree := map[int]bool{}
	for _, p := range allProcesses() {
		inSession := slices.Contains(t.leaders, p.group) || slices.Contains(t.leaders, p.session)
		if inSession || t.knows(p) || t.marks(p.pid) {
			inTree[p.pid] = true
			found = append(found, p)
		} else {
			others = append(others, p)
		}
	}
	for more := true; more && len(found) > 0; { // a child may come before its parent
		more = false
		others = slices.DeleteFunc(others, func(p process) bool {
			if !inTree[p.parent] {
				return false
			}
			inTree[p.pid], more = true, true
			found = append(found, p)
			return true
		})
	}
	return slices.DeleteFunc(found, func(p process) bool {
		return p.state == 'Z' || p.state == 'X'
	})
}

// allProcesses returns all processes except the first, this one and kernel threads. Kernel threads
// have a flag; their session 0 is also that of processes whose session began outside the PID
// namespace, as under docker exec.
func allProcesses() []process {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var all []process
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

// sameNamespace returns the processes in the PID namespace of process pid, unless it is this
// process's. A process cannot leave it, however it hides.
func sameNamespace(pid int) []process {
	own, _ := os.Readlink("/proc/self/ns/pid")
	theirs, err := os.Readlink(procPath(pid, "ns/pid"))
	if err != nil || theirs == own {
		return nil
	}
	return slices.DeleteFunc(allProcesses(), func(p process) bool {
		namespace, _ := os.Readlink(procPath(p.pid, "ns/pid"))
		return namespace != theirs
	})
}

func readStat(pid int) (process, bool) {
	content, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return process{}, false
	}
	name := bytes.LastIndexByte(content, ')') // the name before it may contain anything, even )
	fields := strings.Fields(string(content[name+1:]))
	if name < 0 || len(fields) < 49 {
		return process{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	const kernelThread = 0x00200000 // PF_KTHREAD of linux/sched.h
	// the kernel sets startcode (26) after env_start and env_end (50, 51)
	noEnv := fields[23] != "0" && fields[47] == fields[48]
	return process{
		pid: pid, state: fields[0][0], parent: number(1), group: number(2), session: number(3),
		kernel: number(6)&kernelThread != 0, started: fields[19],
		noEnv: noEnv || fields[0] == "Z" || fields[0] == "X",
	}, true
}

// knows reports whether p was found earlier.
func (t processTree) knows(p process) bool {
	return slices.ContainsFunc(t.known, func(q process) bool {
		return p.pid == q.pid && p.started == q.started
	})
}

// marks reports whether the process has the Marker.
func (t processTree) marks(pid int) bool {
	if t.mark == "" {
		return false
	}
	for entry := range bytes.SplitSeq(environ(pid), []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(Marker+"=")); ok {
			return bytes.HasPrefix(value, []byte(t.mark))
		}
	}
	return false
}

// environ returns the environment of a process, or nil if it may not be read. A process has none
// for a moment while it executes a program (execve(2)): environ waits until that is over, for at
// most a second, which is long enough on a busy machine.
func environ(pid int) []byte {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(100 * time.Microsecond) {
		f, err := os.Open(procPath(pid, "environ"))
		if err != nil {
			return nil
		}
		content, _ := io.ReadAll(io.LimitReader(f, 4<<20))
		f.Close()
		if len(content) > 0 || time.Now().After(deadline) {
			return content
		}
		if p, ok := readStat(pid); !ok || p.noEnv {
			return nil
		}
	}
}

// signal uses a pidfd, because the process id may belong to another process by now.
func (p process) signal(sig unix.Signal) {
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
