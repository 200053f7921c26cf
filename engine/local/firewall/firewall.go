// Package firewall keeps apps that have users of their own from each other's ports on this machine,
// and from the cloud's metadata service, where a machine finds its own credentials. It knows users
// and ports; not apps. It has nft(8) do it, with a table of its own.
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

// Firewall is the rules of one server. Fill in the fields, then Open.
type Firewall struct {
	Name        string       // of the server among others on this machine, such as its root
	First, Last int          // the range of ports that web processes are given
	Spare       []int        // ports in it that are everybody's all the same: the server's own
	Log         *slog.Logger // default: silence

	applying sync.Mutex // held while the rules are made
	mu       sync.Mutex
	users    map[int]bool // whom the rules are for; false: not yet
	own      map[port]int // who may connect where: how many processes listen
	changed  chan struct{}
	done     chan struct{}
	ended    sync.WaitGroup
}

// port is one that a user's processes listen on.
type port struct{ user, number int }

// check is how often the rules are made again: a restart of the machine's own firewall takes all
// tables away.
const check = time.Minute

// Open makes the rules. The error says why there are none.
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

// Close takes the rules away, where Open has made any.
func (f *Firewall) Close() error {
	if f.done == nil {
		return nil
	}
	close(f.done)
	f.ended.Wait()
	return nft(fmt.Sprintf("table inet %[1]s {}\ndelete table inet %[1]s\n", f.table()))
}

// Try returns an error where Open would, and changes nothing.
func (f *Firewall) Try() error { return nft(f.script(), "--check") }

// Guard puts a user under the rules, before it runs anything. It blocks for some milliseconds with
// a new user.
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
	err := nft(fmt.Sprintf("add element inet %s users { %d }\n", f.table(), user)) // cheaper than all rules where there are many
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

// Allow lets a user connect to a port, soon: its own. It counts until Forbid was called as often.
func (f *Firewall) Allow(user, number int) { f.count(port{user, number}, 1) }

// Forbid takes that back.
func (f *Firewall) Forbid(user, number int) { f.count(port{user, number}, -1) }

func (f *Firewall) count(p port, by int) {
	f.mu.Lock()
	if f.own[p] += by; f.own[p] == 0 {
		delete(f.own, p)
	}
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default: // it is on its way
	}
}

// keep makes the rules again when they have changed, and at times.
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
			f.Log.Error("the firewall of apps is not what it is to be", "err", err)
		}
	}
}

// apply replaces the table in one transaction.
func (f *Firewall) apply() error {
	f.applying.Lock()
	defer f.applying.Unlock()
	return f.replace()
}

// replace is apply for those who hold applying.
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

// Where clouds answer a machine about itself, credentials included.
var metadata4, metadata6 = []string{
	"169.254.169.254", // nearly all
	"169.254.170.2",   // Amazon ECS
	"169.254.170.23",  // Amazon EKS
	"168.63.129.16",   // Azure
	"100.100.100.200", // Alibaba
}, []string{"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"} // Amazon, Google

// script is what nft is to do (nft(8)). A table that is there already is replaced. What an app
// answers is no concern of the rules: of connections only the first packet is looked at.
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
		set("users", "meta skuid", users) + set("own", "meta skuid . tcp dport", own) + set("spare", "tcp dport", spare) +
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

// nft has nft(8) run a script, all of it or nothing.
func nft(script string, options ...string) error {
	program, err := exec.LookPath("nft")
	if err != nil {
		if _, statErr := os.Stat("/usr/sbin/nft"); statErr == nil { // in the PATH of root, which the server's need not be
			program, err = "/usr/sbin/nft", nil
		}
	}
	if err != nil {
		return errors.New("nftables is not installed")
	}
	cmd := exec.Command(program, append(options, "-f", "-")...)
	cmd.Stdin = strings.NewReader(script)
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("nft: %s", first)
	}
	return err
}
