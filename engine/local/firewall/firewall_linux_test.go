package firewall

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// inOwnNet runs f in a new network namespace.
func inOwnNet(t *testing.T, f func()) {
	t.Helper()
	rig.Need(t, "nft")
	if os.Getuid() != 0 {
		t.Skip("SKIP: a firewall needs root")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skipf("SKIP: %v", err)
	}
}

func tables(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}

// The table is created, replaced, written again after the machine's own firewall has deleted it,
// and deleted at the end. Other tables stay.
func TestTable(t *testing.T) {
	inOwnNet(t, func() {
		if out, err := exec.Command("nft", "add", "table", "inet",
			"other").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		if err := (&Firewall{Name: "x", First: 1, Last: 2}).Try(); err != nil ||
			strings.Contains(tables(t), "paas") {
			t.Errorf("Try: err = %v, tables: %s", err, tables(t))
		}
		// an earlier, killed server has left one
		f := &Firewall{
			Name:  "/srv/paas",
			First: 20000,
			Last:  31999,
			Spare: []int{20080},
			users: map[int]bool{71001: true},
		}
		if err := f.apply(); err != nil {
			t.Error(err)
			return
		}
		f.users, f.own = map[int]bool{}, map[port]int{}
		f.changed = make(chan struct{}, 1)
		if err := f.apply(); err != nil || strings.Contains(tables(t), "71001") {
			t.Errorf("err = %v; the old rules are still there: %s", err, tables(t))
		}
		f.Allow(71002, 20100)
		f.Allow(71002, 20100)
		f.Forbid(71002, 20100)
		if err := errors.Join(f.Guard(71002), f.Guard(71004)); err != nil {
			t.Error(err)
		}
		rig.WantIn(t, "users", tables(t), "elements = { 71002, 71004 }")
		if err := f.apply(); err != nil { // as keep does, soon
			t.Error(err)
		}
		rig.WantIn(t, "rules", tables(t), "71002 . 20100", "169.254.169.254", "fd00:ec2::254",
			"20080", "20000-31999", "table inet other")
		if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		f.Forbid(71002, 20100)
		if err := f.Guard(71003); err != nil {
			t.Error(err)
		}
		if now := tables(t); !strings.Contains(now, "71003") || strings.Contains(now, "20100") {
			t.Errorf("tables: %s", now)
		}
		if err := nft("delete table inet " + f.table() + "\n"); err != nil ||
			strings.Contains(tables(t), "paas") {
			t.Errorf("%v: %s", err, tables(t))
		}
	})
}

func TestRefusal(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := &Firewall{Name: "x", First: 2, Last: 1} // no range
	want := "nftables is not installed"
	if _, err := os.Stat("/usr/sbin/nft"); err == nil {
		want = "nft: "
	}
	if err := f.Try(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
}
