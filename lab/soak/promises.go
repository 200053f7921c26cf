//go:build linux

package main

import (
	"fmt"
	"io"
	"sync"
)

// promise is one of the promises that the soak checks.
type promise int

const (
	branchRuns  promise = iota + 1 // The branch never points at a commit that does not run
	unnoticed                      // Nobody notices a deploy
	nothingLost                    // Nothing is lost
	itself                         // An app sees only itself
	nothingLeft                    // Nothing is left over
	everyDoor                      // Every door gives the same answer
)

var promiseNames = map[promise]string{
	branchRuns: "the branch points at what runs", unnoticed: "nobody notices a deploy",
	nothingLost: "nothing is lost",
	itself:      "an app sees only itself", nothingLeft: "nothing is left over",
	everyDoor: "every door gives the same answer",
}

func (p promise) String() string { return promiseNames[p] }

// findings counts the checks of each promise, and keeps the first that failed.
type findings struct {
	mu     sync.Mutex
	looks  map[promise]int
	broken string
}

func (f *findings) kept(p promise) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looks == nil {
		f.looks = map[promise]int{}
	}
	f.looks[p]++
}

// add records a broken promise, and reports whether it is the first.
func (f *findings) add(p promise, text string) (first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != "" {
		return false
	}
	f.broken = fmt.Sprintf("%v: %s", p, text)
	return true
}

func (f *findings) report(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := branchRuns; p <= everyDoor; p++ {
		fmt.Fprintf(w, "%-34s checked %d times\n", p, f.looks[p])
	}
	if f.broken != "" {
		fmt.Fprintln(w, " !     BROKEN:", f.broken)
	}
}
