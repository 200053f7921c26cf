package web

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// An address may send ten wrong tokens a minute. Others do not count.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		add := func(addr string) bool { return f.add(netip.MustParseAddr(addr)) }
		for range maxFailures {
			if add("2001:db8::1") {
				t.Fatal("too early")
			}
		}
		if !add("2001:db8::2") {
			t.Error("another address of the same network may go on")
		}
		if add("2001:db8:0:1::1") || add("192.0.2.1") {
			t.Error("another network has to wait")
		}
		time.Sleep(failureWindow + time.Second)
		if add("2001:db8::1") {
			t.Error("it has to wait for longer than a minute")
		}
	})
}

// Many addresses do not take more and more memory.
func TestFailuresAreBounded(t *testing.T) {
	var f failures
	for i := range 2 * maxFailedAddrs {
		f.add(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.1", i/256, i%256)))
	}
	if len(f.count) > maxFailedAddrs {
		t.Errorf("%d addresses", len(f.count))
	}
}
