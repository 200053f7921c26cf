package deploy_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"paas/deploy"
	"paas/volume"
)

// A command makes the live build a release again, with other config vars, and waits until it is live.
func ExampleMaker_Release() {
	root, err := os.MkdirTemp("", "deploy")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	v := &volume.Volume{Root: root, Poll: 10 * time.Millisecond}
	if err := v.Open(); err != nil {
		log.Fatal(err)
	}
	defer v.Close()
	app, err := v.Create("blog")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	go runtime(ctx, app)

	done, err := deploy.Turn(ctx, app, "alice's config:set", func(holder string) {
		fmt.Println(deploy.Waiting(holder))
	})
	if err != nil {
		log.Fatal(err)
	}
	defer done()
	r, err := app.Publish(volume.Release{By: "alice", Cause: volume.CauseConfig, Note: "set COLOR"})
	if err != nil {
		log.Fatal(err)
	}
	m := deploy.Maker{App: app, Out: os.Stdout}
	s, err := m.Release(ctx, r, nil)
	if err != nil {
		log.Fatal(err)
	}
	if s.State == volume.Live {
		fmt.Println(m.LiveLine(r))
	} else {
		fmt.Println(s.Reason, deploy.Instead(app, "Nothing changed."))
	}
	// Output:
	// -----> Booting v1
	// blog v1 is live
}

// runtime does for one release what the runtime does: it shows how it boots, finds it ready, and makes it
// live once it is committed.
func runtime(ctx context.Context, app volume.App) {
	published := func() (bool, error) { n, err := app.Last(); return n > 0, err }
	if app.Await(ctx, published) != nil {
		return
	}
	os.WriteFile(app.ReleaseLog(1), []byte("-----> Booting v1\n"), 0o644)
	app.SetStatus(1, volume.Status{State: volume.Ready})
	committed := func() (bool, error) { return app.Committed(1), nil }
	if app.Await(ctx, committed) != nil {
		return
	}
	app.SetLive(1)
	app.SetStatus(1, volume.Status{State: volume.Live})
}
