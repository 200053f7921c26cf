package child

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

// memoryGroup makes a cgroup of 64 MB. A process joins it by writing its id to the file.
func memoryGroup(t *testing.T) (procs string) {
	t.Helper()
	for _, group := range []struct{ dir, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(group.dir, fmt.Sprintf("paas-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			for range 100 { // until what was in it is reaped
				if os.Remove(dir) == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		if os.WriteFile(filepath.Join(dir, group.limit), []byte("64000000"), 0o644) == nil {
			os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o644)
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	t.Skip("SKIP: cannot make a cgroup here")
	return ""
}

// A kill by the kernel for lack of memory is told apart from other kills.
func TestOutOfMemory(t *testing.T) {
	procs := memoryGroup(t)
	k := newKeeper(t)
	hungry := begin(t, k, "echo $$ > "+procs+"; exec tail /dev/zero", nil, io.Discard)
	<-hungry.Done()
	if err := rig.Message(hungry.Err()); err != "signal: killed: the server ran out of memory, "+
		"or a limit from outside it" {
		t.Error(err)
	}
	shot := begin(t, k, "kill -KILL $$", nil, io.Discard)
	<-shot.Done()
	if err := rig.Message(shot.Err()); strings.Contains(err, "memory") {
		t.Error(err)
	}
}

// A process that reaches the limit of its group does not mean that the machine has no memory left.
// (Failed builds of other apps used to report that.)
func TestWatchOOM(t *testing.T) {
	procs := memoryGroup(t)
	w := WatchOOM()
	defer w.Close()
	if w.log < 0 {
		t.Skip("SKIP: cannot read the kernel's log")
	}
	before := OOMKills()
	hungry := begin(t, newKeeper(t), "echo $$ > "+procs+"; exec tail /dev/zero", nil, io.Discard)
	<-hungry.Done()
	if OOMKills() == before {
		t.Fatal("the kernel killed nothing for lack of memory")
	}
	if w.RanOut() {
		t.Error("RanOut reports that the machine ran out of memory")
	}
	for record, want := range map[string]bool{
		"3,1234,98765432,-;Out of memory: Killed process 71 (node) total-vm:1kB, anon-rss:1kB": true,
		"3,1234,98765432,-;Memory cgroup out of memory: Killed process 71 (node) total-vm:1kB, " +
			"anon-rss:1kB": false,
	} {
		if strings.Contains(record, machineOOM) != want {
			t.Errorf("%s: taken for the machine's OOM: %v, want %v", record, !want, want)
		}
	}
}
