package volume_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"paas/volume"
)

// A maker publishes a release, the runtime makes it ready, the maker commits it, and the runtime
// makes it live. They meet only in the files of the volume.
func Example() {
	app, remove := newApp()
	defer remove()

	// The maker, such as the receiver of a push.
	done, err := app.Turn(context.Background(), "alice's push", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	r, err := app.Publish(volume.Release{By: "alice", Cause: volume.CausePush})
	if err != nil {
		log.Fatal(err)
	}
	show(app, r.N)

	// The runtime builds, boots and checks it.
	app.SetStatus(r.N, volume.Status{State: volume.Ready})
	show(app, r.N)

	// The maker accepts it.
	app.Commit(r.N)

	// The runtime makes it live.
	app.SetLive(r.N)
	app.SetStatus(r.N, volume.Status{State: volume.Live})
	show(app, app.Live())
	// Output:
	// v1 is queued
	// v1 is ready
	// v1 is live
}

// newApp creates an app on a new volume.
func newApp() (app volume.App, remove func()) {
	root, err := os.MkdirTemp("", "volume")
	if err != nil {
		log.Fatal(err)
	}
	v := &volume.Volume{Root: root}
	if err := v.Open(); err != nil {
		log.Fatal(err)
	}
	if app, err = v.Create("blog"); err != nil {
		log.Fatal(err)
	}
	return app, func() {
		v.Close()
		os.RemoveAll(root)
	}
}

func show(app volume.App, n int) {
	s, err := app.Status(n)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("v%d is %s\n", n, s.State)
}

// What should run takes effect without a release; a release freezes the settings.
func ExampleApp_SetWanted() {
	app, remove := newApp()
	defer remove()
	w, err := app.Wanted()
	if err != nil {
		log.Fatal(err)
	}
	w.Formation = map[string]int{"web": 2}
	w.Limits = map[string]volume.Limits{"": {Memory: 256 << 20}, "worker": {CPU: 0.5}}
	if err := app.SetWanted(w); err != nil {
		log.Fatal(err)
	}
	w, err = app.Wanted()
	fmt.Println(w.Formation["web"], w.LimitsOf("worker"), err)
	// Output:
	// 2 {268435456 0.5 0} <nil>
}
