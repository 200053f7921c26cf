package certs

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"paas/rig"
)

// connect connects a keeper to ks until stop.
func connect(t *testing.T, ks *Keepers, k *Keeper) (stop func()) {
	t.Helper()
	before := ks.count()
	here, there := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go k.Answer(ctx, here)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ks.Connect(ctx, there)
		there.Close()
	}()
	rig.Eventually(t, "it is connected", func() bool { return ks.count() > before })
	t.Cleanup(cancel)
	return func() { cancel(); <-ended }
}

func (ks *Keepers) count() int {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return len(ks.all)
}

func openKeeper(t *testing.T) *Keeper {
	t.Helper()
	k := &Keeper{Dir: t.TempDir(), Report: func(string, Status) {}}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	return k
}

// What is asked of keepers elsewhere is done by each of them. One that has left is not asked, and if
// there is none, that is said.
func TestKeepers(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "door"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ks := &Keepers{}
	go ks.Serve(l)
	ask := func(r Request) (bool, error) {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return Ask(t.Context(), conn, r)
	}
	text := string(selfSigned(t, time.Now().Add(time.Hour), "www.example"))
	if _, err := ask(Request{Owner: "one", PEM: text}); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody is there: %v", err)
	}
	first, second := openKeeper(t), openKeeper(t)
	leave := connect(t, ks, first)
	connect(t, ks, second)
	if _, err := ask(Request{Owner: "one", PEM: text}); err != nil {
		t.Error(err)
	}
	for _, k := range []*Keeper{first, second} {
		if k.own["one"] == nil {
			t.Error("a keeper does not have it")
		}
	}
	if _, err := ask(Request{Owner: "one", PEM: "nonsense"}); err == nil || errors.Is(err, ErrNobody) {
		t.Errorf("nonsense: %v", err)
	}
	leave()
	if n := ks.count(); n != 1 {
		t.Errorf("%d keepers are connected", n)
	}
	if removed, err := ask(Request{Owner: "one"}); !removed || err != nil {
		t.Errorf("%t, %v", removed, err)
	}
	if removed, err := ask(Request{Owner: "one"}); removed || err != nil {
		t.Errorf("a second time: %t, %v", removed, err)
	}
	if first.own["one"] == nil || second.own["one"] != nil {
		t.Error("not the one that is there has removed it")
	}
}
