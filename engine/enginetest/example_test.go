package enginetest_test

import (
	"context"
	"fmt"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
)

// An engine is told what should run, and keeps it running.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var e engine.Engine = &enginetest.Memory{}

	changed := make(chan string, 100)
	go e.Watch(ctx, func(app string) { changed <- app })

	web := engine.Unit{
		Name:    engine.UnitName{App: "blog", Release: 7, Type: "web"},
		Indexes: []int{1, 2},
		Image:   engine.Image{App: "blog", Build: "0123abcd"},
		Argv:    []string{"/bin/sh", "-c", "sleep 60"},
		Env:     map[string]string{"PORT": engine.Port, "DATA_DIR": engine.Data},
		Listens: true,
		Grace:   10 * time.Second,
		Stable:  time.Minute,
	}
	if err := e.Want(ctx, web); err != nil {
		fmt.Println(err)
	}
	running := func() (n int) {
		places, _ := e.Places(ctx, "blog")
		for _, p := range places {
			if p.State == engine.Running {
				n++
			}
		}
		return n
	}
	for running() < 2 {
		<-changed
	}
	fmt.Println(web.Name, "runs", running(), "processes")

	e.Drop(ctx, web.Name, time.Second)
	for running() > 0 {
		<-changed
	}
	fmt.Println("none is left")
	// Output:
	// blog.v7.web runs 2 processes
	// none is left
}
