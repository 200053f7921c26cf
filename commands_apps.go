package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"paas/formation"
	"paas/git"
	"paas/say"
	"paas/volume"
)

var appVerbs = []verb{
	{use: "apps:list", short: "all apps", args: noArgs, flags: withFormat, run: listApps},
	{use: "apps:create APP", short: "make an app; the first push does so too", args: args(1, 1), run: createApp},
	{use: "apps:destroy APP --force", short: "remove an app with all its releases and data", args: args(1, 1), run: destroyApp,
		flags: func(cmd *cobra.Command) { cmd.Flags().Bool("force", false, "yes, remove it for ever") }},
	{use: "apps:info APP", short: "what is live, since when, by whom", args: args(1, 1), flags: withFormat, run: infoApp},
	{use: "url APP", short: "the app's address", args: args(1, 1), run: func(c *call) error {
		app, err := c.app()
		if err == nil {
			fmt.Fprintln(c.out, c.url(app.Name))
		}
		return err
	}},
}

// app is the app that the first argument names.
func (c *call) app() (volume.App, error) { return c.vol.App(c.args[0]) }

// appInfo is what apps:list and apps:info say.
type appInfo struct {
	Name    string      `json:"name"`
	URL     string      `json:"url"`
	State   string      `json:"state"` // running, starting, crashed, stopped, scaled to 0, cron, asleep, empty; watch, changing; damaged
	Release int         `json:"release,omitempty"`
	Commit  string      `json:"commit,omitempty"`
	Branch  string      `json:"branch,omitempty"`
	Subject string      `json:"subject,omitempty"`
	Kind    string      `json:"kind,omitempty"`
	By      string      `json:"by,omitempty"`
	Cause   string      `json:"cause,omitempty"`
	Since   time.Time   `json:"since,omitzero"`
	Git     string      `json:"git"`
	Source  *sourceInfo `json:"source,omitempty"` // what it follows, where it does
	Sleep   string      `json:"sleep,omitempty"`  // it sleeps when nobody has asked for it for so long; empty: never
	Asleep  time.Time   `json:"asleep_since,omitzero"`

	Problem string `json:"problem,omitempty"` // one line: which file is damaged, and what to do about it

	Isolation string `json:"isolation,omitempty"` // what keeps it apart from others
}

// info is what is known of the app. A damaged file is no error: it is the Problem, and what it would
// have told is left out.
func (c *call) info(app volume.App) (appInfo, error) {
	i, err := c.liveInfo(app)
	if volume.IsDamage(err) {
		i.State, i.Problem, err = "damaged", err.Error(), nil
	}
	if err != nil {
		return i, err
	}
	source, ok, err := app.Source()
	if err == nil && ok {
		var s sourceInfo
		s, err = c.sourceInfo(app, source)
		i.Source = &s
	}
	if volume.IsDamage(err) {
		i.Problem, err = cmp.Or(i.Problem, err.Error()), nil
	}
	return i, err
}

// liveInfo is what is known of the app's live release, and of what runs of it.
func (c *call) liveInfo(app volume.App) (appInfo, error) {
	i := appInfo{Name: app.Name, URL: c.url(app.Name), State: "empty", Git: "ssh://paas@" + c.gitHost() + "/" + app.Name}
	n := app.Live()
	if n == 0 {
		return i, nil
	}
	r, err := app.Release(n)
	if err != nil {
		return i, err
	}
	i.Release, i.Commit, i.Branch, i.Subject, i.By, i.Cause = n, r.Commit, r.Branch, r.Subject, r.By, r.Cause
	if s, err := app.Status(n); err == nil {
		i.Since = s.At
	}
	if r.Settings.Mode == volume.InPlace {
		i.State, i.Kind = "watch", "in place"
		worktree := git.Worktree{Dir: app.Worktree(), State: app.WorktreeState()}
		_, settled, err := worktree.Commit()
		if err != nil || !settled {
			i.State = "changing" // or left half changed, or its state is damaged: the next push mends it
		}
		return i, nil
	}
	built, err := app.BuiltOf(r)
	if err != nil {
		return i, err
	}
	i.Kind = built.Kind
	if _, err := app.Settings(); err != nil { // the next push will need them
		return i, err
	}
	wanted, err := app.Wanted()
	if err != nil {
		return i, err
	}
	if wanted.Sleep > 0 {
		i.Sleep = sleepSetting(wanted.Sleep)
	}
	since, asleep, err := c.asleep(app, wanted)
	if asleep {
		i.State, i.Asleep = "asleep", since
	}
	if err != nil || asleep {
		return i, err
	}
	if i.State = "stopped"; !c.serving() || wanted.Stopped == n {
		return i, nil
	}
	processes, err := c.processes(app)
	if i.State = overall(processes); i.State == "starting" {
		if state, _ := c.resting(app, wanted); state != "" {
			i.State = state
		}
	}
	return i, err
}

// States of an app that has nothing to start.
const (
	scaledToNone = "scaled to 0"
	onlyCron     = "cron" // what it has runs by the clock
)

// resting is the state of the app where none of its processes is wanted, and what ps:scale takes to
// start one. The state is empty where some are wanted, and where that cannot be told: whoever starts
// the processes reports why.
func (c *call) resting(app volume.App, w volume.Wanted) (state, start string) {
	types, counts, err := c.formation(app, w)
	switch {
	case err != nil || len(counts) > 0:
		return "", ""
	case len(types) == 0:
		return onlyCron, ""
	case types["web"] != "":
		return scaledToNone, "web=1"
	}
	return scaledToNone, slices.Min(slices.Collect(maps.Keys(types))) + "=1"
}

// overall is the state of an app that is to run: that of its web processes, the best one's, or else of
// its others.
func overall(processes []volume.Process) string {
	state := "starting"
	for _, p := range processes {
		switch {
		case !formation.Scalable(p.Type): // a command that is run once, or by the clock
		case p.Type == "web" && p.State == "running":
			return p.State
		case state == "starting":
			state = p.State
		}
	}
	return state
}

func listApps(c *call) error {
	names, err := c.vol.Apps()
	if err != nil {
		return err
	}
	var apps []appInfo
	for _, name := range names {
		app, err := c.vol.App(name)
		if errors.Is(err, volume.ErrNoApp) { // destroyed since
			continue
		}
		if err != nil {
			return err
		}
		i, err := c.info(app)
		if err != nil {
			return err
		}
		if i.Problem != "" {
			say.Fault(c.err, "%s", plain(i.Problem))
		}
		apps = append(apps, i)
	}
	none := fmt.Sprintf("no apps yet; git push ssh://paas@%s/NAME main makes one", c.gitHost())
	return list(c, apps, none, "APP\tSTATE\tRELEASE\tURL", func(a appInfo) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s", a.Name, a.State, releaseName(a.Release), a.URL)
	})
}

// releaseName is a release number as people write it, "-" for none.
func releaseName(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", n)
}

func createApp(c *call) error {
	app, err := c.vol.Create(c.args[0])
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the name %s is taken by an app that exists; choose another, or look at it: %s", c.args[0], c.hint("apps:info", c.args[0]))
	}
	if err != nil {
		return err
	}
	c.record("apps:create", app.Name, "")
	fmt.Fprintf(c.out, "made %s; to deploy:\n  git remote add paas ssh://paas@%s/%s\n  git push paas main\n", app.Name, c.gitHost(), app.Name)
	return nil
}

func destroyApp(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	if force, _ := c.cmd.Flags().GetBool("force"); !force {
		return usageError{fmt.Errorf("this removes %s with its releases, config vars and data for ever; to do it: apps:destroy %s --force", app.Name, app.Name)}
	}
	done, err := app.Turn(c, c.name+"'s "+c.cmd.Name(), c.waiting) // and no more: a damaged app can go
	if err != nil {
		return err
	}
	defer done()
	if err := c.vol.Credentials(app.Name).RemoveAll(); err != nil { // first: none may wait for the next of that name
		return err
	}
	if err := c.vol.Destroy(app); err != nil {
		return err
	}
	c.record("apps:destroy", app.Name, "")
	fmt.Fprintln(c.out, "removed", app.Name)
	return nil
}

func infoApp(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	i, err := c.info(app)
	if err != nil {
		return err
	}
	if i.Isolation, err = c.isolation(); err != nil {
		return err
	}
	return c.print(i, func() error {
		t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		state := i.State
		if !i.Asleep.IsZero() {
			state = sayAsleep(i.Asleep)
		}
		fmt.Fprintf(t, "app\t%s\nurl\t%s\ngit\t%s\nstate\t%s\n", i.Name, i.URL, i.Git, state)
		if i.Release > 0 {
			since := ""
			if !i.Since.IsZero() {
				since = " since " + i.Since.Local().Format(time.DateTime)
			}
			fmt.Fprintf(t, "live\tv%d%s\ncommit\t%s %s\nbranch\t%s\nby\t%s (%s)\nkind\t%s\n", i.Release,
				since, i.Commit[:min(12, len(i.Commit))], plain(i.Subject), i.Branch, i.By, i.Cause, i.Kind)
		}
		if i.Sleep != "" {
			fmt.Fprintf(t, "sleeps\twhen nobody has asked for it for %s\n", i.Sleep)
		}
		if s := i.Source; s != nil {
			fmt.Fprintf(t, "follows\t%s\nsource\t%s %s\n", plain(s.URL), s.State, plain(s.Reason))
		}
		if i.Problem != "" {
			fmt.Fprintf(t, "problem\t%s\n", plain(i.Problem))
		}
		if i.Isolation != "" {
			fmt.Fprintf(t, "isolation\t%s\n", i.Isolation)
		}
		return t.Flush()
	})
}

// waiting tells the caller whom a deploy waits for.
func (c *call) waiting(holder string) {
	say.Step(c.err, "Waiting for %s to end", holder)
}

// record puts what was done into the audit log.
func (c *call) record(did, app, note string) {
	role := volume.RoleCommand
	if c.remote {
		role = volume.RoleGit
	}
	c.vol.Record(role, volume.Event{By: c.name, Did: did, App: app, Note: note})
}

// plain is text that a stranger wrote, for a terminal.
func plain(s string) string { return say.Plain(s, 500) }
