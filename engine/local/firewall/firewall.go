// Package firewall keeps apps with their own users from each other's ports on this machine, and
// from the cloud's metadata service, which gives a machine its credentials. It knows users and
// ports, not apps. It uses nft(8), with a table of its own.
package firewall

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// Firewall manages the rules of one server. Fill in the fields, then call Open.
type Firewall struct {
	Name        string       // identifies the server on this machine, such as its root
	First, Last int          // the range of ports for web processes
	Spare       []int        // ports in the range that everybody may use: the server's own
	Log         *slog.Logger // default: none

	applying sync.Mutex // held while rules are written
	mu       sync.Mutex
	users    map[int]bool // restricted users; false: not in force yet
	own      map[port]int // allowed ports -> number of Allow calls
	changed  chan struct{}
	done     chan struct{}
	ended    sync.WaitGroup
}

// port is a port that a user's processes listen on.
type port struct{ user, number int }

// check is the interval at which the rules are written again: a restart of the machine's own
// firewall deletes all tables.
const check = time.Minute

// Open writes the rules and keeps them in force until Close.
func (f *Firewall) Open() error {
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
	f.users, f.own = map[int]bool{}, map[port]int{}
	f.changed = make(chan struct{}, 1)
	if err := f.apply(); err != nil {
		return err
	}
	f.done = make(chan struct{})
	f.ended.Go(f.keep)
	return nil
}

// Close deletes the rules.
func (f *Firewall) Close() error {
	if f.done == nil {
		return nil
	}
	close(f.done)
	f.ended.Wait()
	return nft(fmt.Sprintf("table inet %[1]s {}\ndelete table inet %[1]s\n", f.table()))
}

// Try returns an error if Open would fail, and changes nothing.
func (f *Firewall) Try() error { return nft(f.script(), "--check") }

// Guard restricts a user. Call it before the user runs anything. It blocks for some milliseconds
// for a new user.
func (f *Firewall) Guard(user int) error {
	if f.isGuarded(user) {
		return nil
	}
	f.applying.Lock()
	defer f.applying.Unlock()
	if f.isGuarded(user) {
		return nil
	}
	f.mu.Lock()
	f.users[user] = false
	f.mu.Unlock()
	// cheaper than writing all rules
	err := nft(fmt.Sprintf("add element inet %s users { %d }\n", f.table(), user))
	if err != nil {
		err = f.replace() // the table may be gone
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		delete(f.users, user)
		return err
	}
	f.users[user] = true
	return nil
}

func (f *Firewall) isGuarded(user int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.users[user]
}

// Allow lets a user connect to its own port, a moment later. It counts: the port is closed again
// once Forbid has been called as often.
func (f *Firewall) Allow(user, number int) { f.count(port{user, number}, 1) }

// Forbid undoes one Allow.
func (f *Firewall) Forbid(user, number int) { f.count(port{user, number}, -1) }

func (f *Firewall) count(p port, by int) {
	f.mu.Lock()
	if f.own[p] += by; f.own[p] == 0 {
		delete(f.own, p)
	}
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default: // already scheduled
	}
}

// keep writes the rules when they have changed, and regularly.
func (f *Firewall) keep() {
	again := time.NewTicker(check)
	defer again.Stop()
	for {
		select {
		case <-f.done:
			return
		case <-f.changed:
		case <-again.C:
		}
		if err := f.apply(); err != nil {
			f.Log.Error("cannot write firewall rules", "err", err)
		}
	}
}

// apply replaces the table in one transaction.
func (f *Firewall) apply() error {
	f.applying.Lock()
	defer f.applying.Unlock()
	return f.replace()
}

// replace is apply for callers that hold applying.
func (f *Firewall) replace() error {
	f.mu.Lock()
	script := f.script()
	f.mu.Unlock()
	return nft(script)
}

func (f *Firewall) table() string {
	sum := sha256.Sum256([]byte(f.Name))
	return "paas-" + hex.EncodeToString(sum[:6])
}

// Addresses of clouds' metadata services.
var metadata4, metadata6 = []string{
	"169.254.169.254", // nearly all
	"169.254.170.2",   // Amazon ECS
	"169.254.170.23",  // Amazon EKS
	"168.63.129.16",   // Azure
	"100.100.100.200", // Alibaba
}, []string{"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"} // Amazon, Google

// script returns the commands for nft(8), which replace an existing table. The rules check only the
// first packet of a connection, so an app's answers are not affected.
func (f *Firewall) script() string {
	set := func(name, kind string, elements []string) string {
		text := fmt.Sprintf("\tset %s {\n\t\ttypeof %s\n", name, kind)
		if len(elements) > 0 {
			text += "\t\telements = { " + strings.Join(elements, ", ") + " }\n"
		}
		return text + "\t}\n"
	}
	var users, own, spare []string
	for _, user := range slices.Sorted(maps.Keys(f.users)) {
		users = append(users, fmt.Sprint(user))
	}
	for p := range f.own {
		own = append(own, fmt.Sprintf("%d . %d", p.user, p.number))
	}
	slices.Sort(own)
	for _, number := range f.Spare {
		spare = append(spare, fmt.Sprint(number))
	}
	name := f.table()
	return fmt.Sprintf("table inet %[1]s {}\ndelete table inet %[1]s\ntable inet %[1]s {\n", name) +
		set("users", "meta skuid", users) + set("own", "meta skuid . tcp dport", own) +
		set("spare", "tcp dport", spare) +
		set("metadata4", "ip daddr", metadata4) + set("metadata6", "ip6 daddr", metadata6) +
		fmt.Sprintf(`	chain output {
		type filter hook output priority filter; policy accept;
		meta skuid @users jump apps
	}
	chain apps {
		meta l4proto { tcp, udp } th dport 53 accept
		ip daddr @metadata4 reject
		ip6 daddr @metadata6 reject
		tcp flags & (syn | ack) != syn accept
		tcp dport @spare accept
		meta skuid . tcp dport @own accept
		fib daddr type local tcp dport %d-%d reject with tcp reset
	}
}
`, f.First, f.Last)
}

// nft runs a script with nft(8), in one transaction.
func nft(script string, options ...string) error {
	program, err := exec.LookPath("nft")
	if err != nil {
		// often missing in the PATH of services
		if _, statErr := os.Stat("/usr/sbin/nft"); statErr == nil {
			program, err = "/usr/sbin/nft", nil
		}
	}
	if err != nil {
		return errors.New("nftables is not installed")
	}
	cmd := exec.Command(program, append(options, "-f", "-")...)
	cmd.Stdin = strings.NewReader(script)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	err = cmd.Run()
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		first, _, _ := strings.Cut(strings.TrimSpace(problem.String()), "\n")
		return fmt.Errorf("nft: %s", first)
	}
	return err
}
