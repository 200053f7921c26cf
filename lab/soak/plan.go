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
	opForce       = "push -f"      // a good commit beside the last one
	opBadBuild    = "bad build"    // a commit whose build fails
	opBadBoot     = "bad boot"     // whose process ends at once
	opMute        = "mute"         // whose process never listens
	opBadHealth   = "bad health"   // whose health check fails
	opBadRelease  = "bad release"  // whose release phase fails
	opCutPush     = "cut push"     // git or ssh of the pusher is killed
	opCutNew      = "cut new"      // the build, or the new process, is killed while a push goes on
	opBranch      = "branch"       // a push of a branch that does not deploy
	opConfig      = "config"       // config:set
	opBadConfig   = "bad config"   // config:set of what the app does not start with
	opUnset       = "unset"        // config:unset
	opRestart     = "restart"      // ps:restart
	opRestartOne  = "restart web"  // ps:restart APP web
	opScale       = "scale"        // ps:scale
	opRollback    = "rollback"     // to an earlier release
	opRebuild     = "rebuild"      // ps:rebuild
	opStopStart   = "stop, start"  // ps:stop, ps:start
	opKill        = "kill process" // one of the app's processes
	opWrite       = "write"        // the app writes into DATA_DIR
	opOnce        = "run"          // a command once
	opDestroy     = "destroy"      // apps:destroy, and a push that makes the app anew
	opCutCommand  = "cut command"  // the ssh of a config:set is killed
	opTwoPushes   = "two pushes"   // at once, of the same commit
	opCronRun     = "cron:run"     // what runs by the clock, now
	opCreateAgain = "create again" // apps:create of an app that is there
)

// hand is how often each comes among so many.
var hand = map[string]int{
	opPush: 4, opForce: 1, opBadBuild: 1, opBadBoot: 1, opMute: 1, opBadHealth: 1, opBadRelease: 1, opCutPush: 3, opCutNew: 2, opBranch: 1,
	opConfig: 3, opBadConfig: 2, opUnset: 1, opRestart: 1, opRestartOne: 1, opScale: 2, opRollback: 3, opRebuild: 1, opStopStart: 1, opKill: 2,
	opWrite: 3, opOnce: 1, opDestroy: 1, opCutCommand: 1, opTwoPushes: 1, opCronRun: 1, opCreateAgain: 1,
}

// What happens to the server or the machine in a round.
const (
	upNone     = "nothing"
	upKill     = "kill -9 of the server"
	upStop     = "graceful restart of the server"
	upDisk     = "full disk"
	upDiskKill = "full disk, and kill -9 of the server"
	upSuspend  = "suspended server"
	upClock    = "clock forward"
)

var upsets = map[string]int{upNone: 3, upKill: 3, upStop: 1, upDisk: 2, upDiskKill: 1, upSuspend: 1, upClock: 2}

// op is one operation. What it cannot know beforehand, such as which releases there are, it picks with Dice when its
// turn comes.
type op struct {
	Do    string
	Pause time.Duration // before it
	Cut   time.Duration // after this long something is killed
	Far   bool          // by ssh, not by the command line on the server
	Dice  uint64
}

func (o op) String() string {
	door := "here"
	if o.Far {
		door = "ssh"
	}
	return fmt.Sprintf("%s (%s, cut %v, dice %d)", o.Do, door, o.Cut, o.Dice%1000)
}

// round is some operations on each app, beside each other, with something happening to all of them in the
// middle. After each round everything has to come to rest.
type round struct {
	N     int
	Upset string
	After time.Duration // the upset comes so long after the round's begin
	For   time.Duration // and lasts so long
	Jump  time.Duration // upClock: how far
	Ops   [][]op        // by app
}

func (r round) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "round %d: %s after %v for %v", r.N, r.Upset, r.After, r.For)
	for app, ops := range r.Ops {
		fmt.Fprintf(&b, "\n  %s: %v", apps[app].name, ops)
	}
	return b.String()
}

// plan is the day, round by round, as the seed has it and nothing else: neither how long something takes nor how it
// ends changes what comes next.
type plan struct {
	rand   *rand.Rand
	n      int
	upsets deck
	hands  []deck // by app
}

func newPlan(seed uint64, apps int) *plan {
	p := &plan{rand: rand.New(rand.NewPCG(seed, 0))}
	p.upsets.of = upsets
	for range apps {
		p.hands = append(p.hands, deck{of: hand})
	}
	return p
}

// next is the next round.
func (p *plan) next() round {
	p.n++
	r := round{
		N: p.n, Upset: p.upsets.deal(p.rand), After: p.upTo(3 * time.Second), For: time.Second/2 + p.upTo(4*time.Second),
		Jump: time.Minute + p.upTo(time.Hour),
	}
	if p.rand.IntN(4) == 0 {
		r.Jump += p.upTo(48 * time.Hour)
	}
	for i := range p.hands {
		var ops []op
		for range 1 + p.rand.IntN(3) {
			ops = append(ops, op{
				Do: p.hands[i].deal(p.rand), Pause: p.upTo(time.Second), Cut: p.upTo(1500 * time.Millisecond),
				Far: p.rand.IntN(2) == 0, Dice: p.rand.Uint64(),
			})
		}
		r.Ops = append(r.Ops, ops)
	}
	return r
}

func (p *plan) upTo(d time.Duration) time.Duration {
	return time.Duration(p.rand.Int64N(int64(d))).Truncate(time.Millisecond)
}

// deck deals each card as often as it is in it, in an order of chance, and then begins anew: so that a short day
// has something of everything.
type deck struct {
	of   map[string]int
	left []string
}

func (d *deck) deal(r *rand.Rand) string {
	if len(d.left) == 0 {
		for card, n := range d.of {
			d.left = append(d.left, slices.Repeat([]string{card}, n)...)
		}
		slices.Sort(d.left) // a map has no order
		r.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	card := d.left[0]
	d.left = d.left[1:]
	return card
}
