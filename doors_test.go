package main

import (
	"testing"

	"paas/router"
	"paas/runtime"
	"paas/volume"
)

// An app that has the server's own name from an earlier version changes nothing at the server's host.
func TestAppDoesNotGetOwnHost(t *testing.T) {
	f := frontDoor{Router: &router.Router{}}
	f.Set(volume.Own, router.Route{Addrs: []string{"ours"}})
	f.Route(runtime.Route{App: volume.Own})
	f.Remove(volume.Own)
	if asleep, _ := f.Sleep(volume.Own, 0); asleep {
		t.Error("the host sleeps")
	}
	if asleep, _ := f.Router.Sleep(volume.Own, 0); !asleep {
		t.Error("the host is gone")
	}
}
