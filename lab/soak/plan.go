//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Operations on an app.
const (
	opPush        = "push"         // a good commit
	opForce       = "push -f"      // a good commit that replaces earlier ones
	opBadBuild    = "bad build"    // a commit whose build fails
	opBadBoot     = "bad boot"     // a commit whose process exits at once
	opMute        = "mute"         // a commit whose process never listens
	opBadHealth   = "bad health"   // a commit whose health check fails
	opBadRelease  = "bad release"  // a commit whose release phase fails
	opCutPush     = "cut push"     // the pusher's git or ssh is killed
	opCutNew      = "cut new"      // the build or the new process is killed during a push
	opBranch      = "branch"       // a push of a branch that does not deploy
	opConfig      = "config"       // config:set
	opBadConfig   = "bad config"   // config:set of a value with which the app does not start
	opUnset       = "unset"        // config:unset
	opRestart     = "restart"      // ps:restart
	opRestartOne  = "restart web"  // ps:restart APP web
	opScale       = "scale"        // ps:scale
	opRollback    = "rollback"     // rollback to an earlier release
	opRebuild     = "rebuild"      // ps:rebuild
	opStopStart   = "stop, start"  // ps:stop, ps:start
	opKill        = "kill process" // kill of one of the app's processes
	opWrite       = "write"        // the app writes into DATA_DIR
	opRun         = "run"          // a one-off command
	opDestroy     = "destroy"      // apps:destroy, and a push that creates the app again
	opCutCommand  = "cut command"  // the ssh of a config:set is killed
	opTwoPushes   = "two pushes"   // two pushes of the same commit at once
	opCronRun     = "cron:run"     // a cron run
	opCreateAgain = "create again" // apps:create of an existing app
)

// opCounts is how often each operation is in the deck.
var opCounts = map[string]int{
	opPush: 4, opForce: 1, opBadBuild: 1, opBadBoot: 1, opMute: 1, opBadHealth: 1, opBadRelease: 1,
	opCutPush: 3, opCutNew: 2, opBranch: 1,
	opConfig: 3, opBadConfig: 2, opUnset: 1, opRestart: 1, opRestartOne: 1, opScale: 2, opRollback: 3,
	opRebuild: 1, opStopStart: 1, opKill: 2,
	opWrite: 3, opRun: 1, opDestroy: 1, opCutCommand: 1, opTwoPushes: 1, opCronRun: 1,
	opCreateAgain: 1,
}

// Disruptions of the server or the machine in a round.
const (
	disruptNone     = "nothing"
	disruptKill     = "kill -9 of keeper and server"
	disruptServer   = "kill -9 of the server, not of its keeper"
	disruptReload   = "planned restart"
	disruptUpgrade  = "upgrade"
	disruptStop     = "stop and start of the server"
	disruptDisk     = "full disk"
	disruptDiskKill = "full disk, and kill -9 of keeper and server"
	disruptSuspend  = "suspended server"
	disruptClock    = "clock forward"
)

var disruptions = map[string]int{disruptNone: 1, disruptKill: 1, disruptStop: 1, disruptDisk: 1,
	disruptDiskKill: 1, disruptSuspend: 1, disruptClock: 1,
	disruptServer: 2, disruptReload: 2, disruptUpgrade: 2,
}

// op is one operation. When it runs, it uses Dice to choose among what is there, such as releases.
type op struct {
	Do    string
	Pause time.Duration // before it
	Cut   time.Duration // time until something is killed
	SSH   bool          // over ssh, instead of the command line on the server
	Dice  uint64
}

func (o op) String() string {
	door := "here"
	if o.SSH {
		door = "ssh"
	}
	return fmt.Sprintf("%s (%s, cut %v, dice %d)", o.Do, door, o.Cut, o.Dice%1000)
}

// round is a few operations on each app, in parallel, with one disruption for all of them. After
// each round everything must come to rest.
type round struct {
	N          int
	Disruption string
	After      time.Duration // time from the round's start to the disruption
	For        time.Duration // length of the disruption
	Jump       time.Duration // of disruptClock
	Ops        [][]op        // by app
}

func (r round) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "round %d: %s after %v for %v", r.N, r.Disruption, r.After, r.For)
	for app, ops := range r.Ops {
		fmt.Fprintf(&b, "\n  %s: %v", apps[app].name, ops)
	}
	return b.String()
}

// plan produces the rounds of a day. It depends only on the seed, not on how long operations take
// or how they end.
type plan struct {
	rand        *rand.Rand
	n           int
	disruptions deck
	ops         []deck // by app
}

func newPlan(seed uint64, apps int) *plan {
	p := &plan{rand: rand.New(rand.NewPCG(seed, 0))}
	p.disruptions.of = disruptions
	for range apps {
		p.ops = append(p.ops, deck{of: opCounts})
	}
	return p
}

// next returns the next round.
func (p *plan) next() round {
	p.n++
	r := round{
		N: p.n, Disruption: p.disruptions.deal(p.rand), After: p.upTo(3 * time.Second),
		For:  time.Second/2 + p.upTo(4*time.Second),
		Jump: time.Minute + p.upTo(time.Hour),
	}
	if p.rand.IntN(4) == 0 {
		r.Jump += p.upTo(48 * time.Hour)
	}
	for i := range p.ops {
		var ops []op
		for range 1 + p.rand.IntN(3) {
			ops = append(ops, op{
				Do: p.ops[i].deal(p.rand), Pause: p.upTo(time.Second), Cut: p.upTo(1500 * time.Millisecond),
				SSH: p.rand.IntN(2) == 0, Dice: p.rand.Uint64(),
			})
		}
		r.Ops = append(r.Ops, ops)
	}
	return r
}

func (p *plan) upTo(d time.Duration) time.Duration {
	return time.Duration(p.rand.Int64N(int64(d))).Truncate(time.Millisecond)
}

// deck deals each card as often as it has it, in random order, and then starts again. So even a
// short day has some of everything.
type deck struct {
	of   map[string]int
	left []string
}

func (d *deck) deal(r *rand.Rand) string {
	if len(d.left) == 0 {
		for card, n := range d.of {
			d.left = append(d.left, slices.Repeat([]string{card}, n)...)
		}
		slices.Sort(d.left) // the order of a map is random
		r.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	card := d.left[0]
	d.left = d.left[1:]
	return card
}
