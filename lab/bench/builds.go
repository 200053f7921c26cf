//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// buildsResult has the same load on an app without builds, and during the builds of two other apps.
type buildsResult struct{ Quiet, Building []rate }

// computing is the compile step of a buildpack. Two processes compute and write until they are
// stopped.
const computing = `#!/bin/sh
touch "$1/begun"
echo begun
for i in 1 2; do
  while :; do
    head -c 20000000 /dev/zero | gzip -9 >/dev/null
    dd if=/dev/zero of="$1/file$i" bs=1M count=8 2>/dev/null
  done &
done
wait
`

func measureBuilds(ctx context.Context, o options, c *client) (*buildsResult, error) {
	names := []string{"build-one", "build-two"}
	r, err := startServer(ctx, o.Paas, c, []string{fmt.Sprint("PAAS_MAX_BUILDS=", len(names))})
	if err != nil {
		return nil, err
	}
	defer r.stop()
	progress("builds: deploying the backend")
	app := r.app("backend")
	if err := pushBackend(ctx, c, app); err != nil {
		return nil, err
	}
	dir, err := computingApp(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := r.run(ctx, "apps:create", name); err != nil {
			return nil, err
		}
		if _, err := r.run(ctx, "settings:set", name, "buildpack=./pack"); err != nil {
			return nil, err
		}
	}
	res := &buildsResult{}
	quiet, building := path{addr: app.addr, host: app.host, into: &res.Quiet}, path{addr: app.addr,
		host: app.host, into: &res.Building}
	if _, err := quiet.load(ctx, c, 1); err != nil { // warm-up
		return nil, err
	}
	for round := range o.Rounds {
		progress("builds: round %d of %d", round+1, o.Rounds)
		if err := quiet.add(ctx, c, o.Seconds); err != nil {
			return nil, err
		}
		stop, err := r.compute(ctx, c, dir, names)
		if err != nil {
			return nil, err
		}
		err = building.add(ctx, c, o.Seconds)
		if err := errors.Join(err, stop()); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// computingApp returns a repository whose build runs until it is stopped.
func computingApp(ctx context.Context, c *client) (string, error) {
	dir, err := os.MkdirTemp(c.dir, "computing-")
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{
		"Procfile": "web: sleep 1000\n", "pack/bin/detect": "#!/bin/sh\necho computing\n", "pack/bin/compile": computing,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(text), 0o755)); err != nil {
			return "", err
		}
	}
	return dir, c.commitAll(ctx, dir)
}

// compute pushes dir as each app and returns once all builds are running. stop interrupts the
// pushes, as Ctrl-C does, and returns when the builds have ended.
func (r *server) compute(
	ctx context.Context, c *client, dir string, apps []string,
) (stop func() error, err error) {
	pushing, interrupt := context.WithCancel(ctx)
	ended := make(chan struct{}, len(apps))
	begun := filepath.Join(r.root, "apps", "*", "builds", "*", "tree", "begun")
	count := func() int {
		found, _ := filepath.Glob(begun)
		return len(found)
	}
	stop = func() error {
		interrupt()
		for range apps {
			<-ended
		}
		return await(ctx, 20*time.Millisecond, "the end of the builds",
			func() bool { return count() == 0 })
	}
	for _, name := range apps {
		go func() {
			c.git(pushing, dir, "push", r.app(name).remote, "main") // fails when it is interrupted
			ended <- struct{}{}
		}()
	}
	if err := await(ctx, 20*time.Millisecond, "builds that compute",
		func() bool { return count() == len(apps) }); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// add adds one round of load.
func (p path) add(ctx context.Context, c *client, seconds int) error {
	r, err := p.load(ctx, c, seconds)
	if err == nil {
		*p.into = append(*p.into, r)
	}
	return err
}

func (b *buildsResult) rows(print row) {
	p99 := func(r rate) time.Duration { return r.P99 }
	ours, other := median(b.Building, p99), median(b.Quiet, p99)
	print("p99 of an app during two builds, median", ms(ours), ms(other)+" without builds",
		ratio(ours, other), "at most 1.10")
	perSecond := func(r rate) float64 { return r.PerSecond }
	most, least := median(b.Quiet, perSecond), median(b.Building, perSecond)
	print("requests a second, meanwhile", fmt.Sprintf("%.0f", least),
		fmt.Sprintf("%.0f without builds", most), ratio(least, most), "")
}
