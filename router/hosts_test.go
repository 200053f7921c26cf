package router

import (
	"fmt"
	"runtime"
	"testing"
)

// The cost of adding an app does not depend on how many there are. A table that is copied for each
// change would allocate in proportion to its size.
func TestAppsAreAddedOneByOne(t *testing.T) {
	bytesEach := func(apps int) uint64 {
		r := &Router{}
		for i := range apps {
			r.Set(fmt.Sprintf("app%d", i), routeTo("127.0.0.1:1"))
		}
		const times = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			r.Set("one-more", Route{Hosts: []string{"one-more.example"}})
			r.Remove("one-more")
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / times
	}
	if few, many := bytesEach(10), bytesEach(5000); many > 2*few+2048 {
		t.Errorf("adding an app takes %d bytes beside 10 others, %d beside 5000", few, many)
	}
}

// When its owner gives a name up, it goes to the app that has waited longest.
func TestHostSuccession(t *testing.T) {
	r := &Router{}
	r.init()
	for _, name := range []string{"c", "a", "b"} {
		r.Set(name, Route{Hosts: []string{"shop.example"}})
	}
	for _, want := range []string{"c", "a", "b", ""} {
		got := ""
		if a := r.hosts.find("shop.example"); a != nil {
			got = a.name
		}
		if got != want {
			t.Errorf("%q has the name, want %q", got, want)
		}
		r.Remove(want)
	}
	if len(r.hosts.extra) != 0 || len(r.hosts.primary) != 0 {
		t.Errorf("left over: %v %v", r.hosts.primary, r.hosts.extra)
	}
}
