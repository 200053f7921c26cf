//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"paas/lab/proc"
)

// curve is how the cost of one operation grows with a number.
type curve struct {
	What   string
	Points []point
}

// point is the cost at one number.
type point struct {
	At   int
	Took time.Duration // the median, if it was measured several times
	CPU  time.Duration // of the server's own processes, per operation; 0 if not measured
	Disk int64         // bytes that each operation takes; 0 if not measured
}

// growthResult has the costs that may grow with the size of a server, and the rushes it handles.
type growthResult struct {
	Curves []curve
	Rushes []rush
}

// rush is many operations at once.
type rush struct {
	What      string
	N, Failed int
	All       time.Duration // until the last one has ended
}

// sizes are the numbers to measure at.
type sizes struct {
	apps, releases, files []int
	pushes, commands      int
	times                 int // deploys at each number
}

var (
	wholeGrowth = sizes{
		[]int{1, 500, 5000}, []int{10, 1000, 20_000}, []int{100, 10_000, 50_000}, 50, 200, 5,
	}
	shortGrowth = sizes{[]int{1, 100, 500}, []int{10, 10_000}, []int{100, 1000, 5000}, 10, 50, 3}
)

// measureGrowth deploys a folder of static files, which needs no boot, to servers of several sizes.
func measureGrowth(ctx context.Context, o options, c *client) (*growthResult, error) {
	n := wholeGrowth
	if o.Short {
		n = shortGrowth
	}
	res := &growthResult{}
	for _, measure := range []func(context.Context, options, string, sizes) ([]curve, error){
		growApps, growReleases,
	} {
		curves, err := measure(ctx, o, c.dir, n)
		if err != nil {
			return nil, err
		}
		res.Curves = append(res.Curves, curves...)
	}
	var err error
	res.Rushes, err = rushes(ctx, o, c.dir, n)
	return res, err
}

// measureOneLine deploys changes of one line to commits with more and more files.
func measureOneLine(ctx context.Context, o options, c *client) (*growthResult, error) {
	n := wholeGrowth
	if o.Short {
		n = shortGrowth
	}
	curves, err := growFiles(ctx, o, c.dir, n)
	return &growthResult{Curves: curves}, err
}

// newPage returns a person with a clone of one page.
func newPage(ctx context.Context, dir string) (*client, error) {
	dir, err := os.MkdirTemp(dir, "page-")
	if err != nil {
		return nil, err
	}
	app := filepath.Join(dir, "app")
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(app, 0o755)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(app, "index.html"), []byte("one\n"), 0o644); err != nil {
		return nil, err
	}
	c, err := newClient(ctx, dir, app)
	if err == nil {
		c.page, c.line = "index.html", func(mark string) string { return mark }
	}
	return c, err
}

// page starts a server with that page deployed as the app blog.
func page(
	ctx context.Context, o options, dir string, settings ...string,
) (*server, *client, error) {
	c, err := newPage(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	r, err := startServer(ctx, o.Paas, c, settings)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.deploy(ctx, r.app("blog")); err != nil {
		r.stop()
		return nil, nil, err
	}
	return r, c, nil
}

// growApps starts servers with more and more apps, of which all but one are stopped, and lists the
// apps.
func growApps(ctx context.Context, o options, dir string, n sizes) ([]curve, error) {
	r, c, err := page(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { r.stop() }()
	if _, err := c.deploy(ctx, r.app("stopped")); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, "ps:stop", "stopped"); err != nil {
		return nil, err
	}
	start, list := curve{What: "a server's start, by its apps"}, curve{What: "`apps:list`, by apps"}
	push := curve{What: "push to live, by apps"}
	made := 2
	for _, apps := range n.apps {
		progress("growth: a server of %d apps", apps)
		r.stop()
		for ; made < apps; made++ {
			if err := r.copyApp(ctx, "stopped", fmt.Sprintf("app%d", made)); err != nil {
				return nil, err
			}
		}
		from := time.Now()
		if err := r.start(ctx, c); err != nil {
			return nil, err
		}
		p := point{At: apps, Took: time.Since(from)}
		if p.CPU, err = r.quiet(ctx); err != nil {
			return nil, err
		}
		start.Points = append(start.Points, p)
		from = time.Now()
		if _, err := r.run(ctx, "apps:list"); err != nil {
			return nil, err
		}
		list.Points = append(list.Points, point{At: apps, Took: time.Since(from)})
		if p, err = r.deploys(ctx, c, n.times, apps); err != nil {
			return nil, err
		}
		push.Points = append(push.Points, p)
	}
	return []curve{start, list, push}, nil
}

// quiet waits until the server is idle, and returns the processor time it has used so far.
func (r *server) quiet(ctx context.Context) (time.Duration, error) {
	for range 60 {
		used, err := r.spends(ctx, time.Second)
		if err != nil {
			return 0, err
		}
		if used < 20*time.Millisecond {
			return usedBy(r.processes())
		}
	}
	return 0, errors.New("the server is busy a minute after its start")
}

// deploys deploys blog several times, and returns the cost of one deploy.
func (r *server) deploys(ctx context.Context, c *client, times, at int) (point, error) {
	pids := r.processes()
	before, err := usedBy(pids)
	if err != nil {
		return point{}, err
	}
	var took []time.Duration
	for range times {
		p, err := c.deploy(ctx, r.app("blog"))
		if err == nil {
			err = proc.Wait(ctx, 1500*time.Millisecond) // the server removes old builds a second later
		}
		if err != nil {
			return point{}, err
		}
		took = append(took, p.Live)
	}
	after, err := usedBy(pids)
	p := point{At: at, Took: median(took, itself), CPU: (after - before) / time.Duration(times)}
	return p, err
}

// growReleases deploys an app with more and more releases.
func growReleases(ctx context.Context, o options, dir string, n sizes) ([]curve, error) {
	r, c, err := page(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { r.stop() }()
	push := curve{What: "push to live, by releases"}
	for _, releases := range n.releases {
		progress("growth: an app of %d releases", releases)
		r.stop()
		if err := addReleases(filepath.Join(r.root, "apps", "blog"), releases); err != nil {
			return nil, err
		}
		if err := r.start(ctx, c); err != nil {
			return nil, err
		}
		// The first deploys also remove old builds.
		if _, err := r.deploys(ctx, c, n.times, releases); err != nil {
			return nil, err
		}
		p, err := r.deploys(ctx, c, n.times, releases)
		if err != nil {
			return nil, err
		}
		push.Points = append(push.Points, p)
	}
	return []curve{push}, nil
}

// addReleases repeats the live release of the app in that folder until there are count releases.
func addReleases(app string, count int) error {
	link, err := os.Readlink(filepath.Join(app, "live"))
	if err != nil {
		return err
	}
	live, err := strconv.Atoi(filepath.Base(link))
	if err != nil {
		return err
	}
	folder := func(n int) string { return filepath.Join(app, "releases", strconv.Itoa(n)) }
	var release map[string]any
	text, err := os.ReadFile(filepath.Join(folder(live), "release.json"))
	if err == nil {
		err = json.Unmarshal(text, &release)
	}
	for n := live + 1; n <= count && err == nil; n++ {
		release["n"] = n
		if text, err = json.Marshal(release); err != nil {
			return err
		}
		state := "retired"
		if n == count {
			state = "live"
		}
		status := fmt.Sprintf(`{"state": %q, "at": %q}`, state, time.Now().UTC().Format(time.RFC3339))
		err = errors.Join(os.Mkdir(folder(n), 0o755),
			os.WriteFile(filepath.Join(folder(n), "release.json"), text, 0o600),
			os.WriteFile(filepath.Join(folder(n), "status.json"), []byte(status), 0o644),
			os.WriteFile(filepath.Join(folder(n), "commit"), nil, 0o644))
	}
	if err != nil || count <= live {
		return err
	}
	retired := []byte(`{"state": "retired", "at": "2026-01-01T00:00:00Z"}`)
	return errors.Join(
		os.WriteFile(filepath.Join(folder(live), "status.json"), retired, 0o644),
		os.Remove(filepath.Join(app, "live")),
		os.Symlink(filepath.Join("releases", strconv.Itoa(count)), filepath.Join(app, "live")))
}

// growFiles deploys a change of one line in commits with more and more files.
func growFiles(ctx context.Context, o options, dir string, n sizes) ([]curve, error) {
	r, c, err := page(ctx, o, dir, "PAAS_KEEP_BUILDS=100") // so that the disk only fills
	if err != nil {
		return nil, err
	}
	defer func() { r.stop() }()
	push := curve{What: "push of one line to live, by files"}
	made := 1
	for _, files := range n.files {
		progress("growth: a commit of %d files", files)
		for ; made < files; made++ {
			path := filepath.Join(c.clone, fmt.Sprintf("d%d", made/500), fmt.Sprintf("f%d.txt", made))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return nil, err
			}
			if err := os.WriteFile(path, fmt.Appendf(nil, "file %d\n", made), 0o644); err != nil {
				return nil, err
			}
		}
		if err := c.git(ctx, c.clone, "add", "-A"); err != nil {
			return nil, err
		}
		if _, err := c.deploy(ctx, r.app("blog")); err != nil { // pushes all the files
			return nil, err
		}
		p, err := r.changes(ctx, c, n.times, files)
		if err != nil {
			return nil, err
		}
		push.Points = append(push.Points, p)
	}
	return []curve{push}, nil
}

// changes deploys a change of one line several times, each when the server has done what it does
// after the one before, and returns the cost of one.
func (r *server) changes(ctx context.Context, c *client, times, at int) (p point, err error) {
	cpu, err := r.quiet(ctx)
	if err != nil {
		return p, err
	}
	disk, err := usedDisk(r.root)
	if err != nil {
		return p, err
	}
	var took []time.Duration
	var used time.Duration
	for range times {
		d, err := c.deploy(ctx, r.app("blog"))
		if err == nil {
			used, err = r.quiet(ctx)
		}
		if err != nil {
			return p, err
		}
		took = append(took, d.Live)
	}
	full, err := usedDisk(r.root)
	n := int64(times)
	return point{at, median(took, itself), (used - cpu) / time.Duration(n), (full - disk) / n}, err
}

// usedDisk returns how many bytes of the file system of dir are in use.
func usedDisk(dir string) (int64, error) {
	syscall.Sync() // else blocks are not counted yet
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	return int64(s.Blocks-s.Bfree) * s.Bsize, err
}

// rushes makes first pushes of many apps at once, and then many commands at once, each over its own
// connection.
func rushes(ctx context.Context, o options, dir string, n sizes) ([]rush, error) {
	r, c, err := page(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { r.stop() }()
	progress("growth: %d pushes at once", n.pushes)
	pushes := atOnce("first pushes at once", n.pushes, func(i int) error {
		return c.git(ctx, c.clone, "push", "-q", r.app(fmt.Sprintf("app%d", i)).remote, "main")
	})
	progress("growth: %d commands at once", n.commands)
	commands := atOnce("commands over ssh at once", n.commands, func(int) error {
		argv := append(c.SSH(), "-p", r.ssh.Port(), "bench@127.0.0.1", "ps", "blog")
		_, err := proc.Output(proc.Command(ctx, r.env, argv[0], argv[1:]...))
		return err
	})
	return []rush{pushes, commands}, nil
}

func atOnce(what string, n int, do func(i int) error) rush {
	var all sync.WaitGroup
	var failed atomic.Int64
	from := time.Now()
	for i := range n {
		all.Go(func() {
			if err := do(i); err != nil && failed.Add(1) == 1 {
				progress("%s: %v", what, err)
			}
		})
	}
	all.Wait()
	return rush{what, n, int(failed.Load()), time.Since(from)}
}

func (g *growthResult) rows(print row) {
	for _, c := range g.Curves {
		for i, p := range c.Points {
			ours, ratio := ms(p.Took), ""
			if p.CPU > 0 {
				ours += fmt.Sprintf(", %s of processor time", ms(p.CPU))
			}
			if p.Disk > 0 {
				ours += fmt.Sprintf(", %.1f MB of disk", float64(p.Disk)/1e6)
			}
			if i > 0 {
				ratio = fmt.Sprintf("%.2f of that with %d", float64(p.Took)/float64(c.Points[0].Took),
					c.Points[0].At)
			}
			print(fmt.Sprintf("%s: %d", c.What, p.At), ours, "", ratio, "")
		}
	}
	for _, r := range g.Rushes {
		print(fmt.Sprintf("%d %s", r.N, r.What),
			fmt.Sprintf("%.1f s, %d failed", r.All.Seconds(), r.Failed), "", "", "none fails")
	}
}
