package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"paas/access"
	"paas/git"
	"paas/say"
	"paas/volume"
)

func appRows() []Row {
	return []Row{
		Verb[struct{}, []AppInfo]{
			Head: Head{
				Name: "apps:list", Group: Apps, Needs: access.Anyone,
				Aliases: []string{"apps"}, Example: "--format json",
				Short: "list all apps",
			},
			Run: listApps,
			Text: func(p *Page, apps []AppInfo) {
				for _, a := range apps {
					if a.Problem != "" {
						p.warn("%s", plain(a.Problem))
					}
				}
				if trouble, err := p.backupTrouble(); p.isAdmin() && (trouble != "" || err != nil) {
					p.warn("%s; see backup:list", plain(cmp.Or(trouble, fmt.Sprint(err))))
				}
				switch {
				case len(apps) == 0 && p.Rights.Role(p.Caller.Identity) < access.Member:
					p.line("no apps that you may see")
					return
				case len(apps) == 0:
					p.line("no apps yet; git push ssh://paas@%s/NAME main creates one", p.GitHost())
					return
				}
				list(p, apps, "APP\tSTATE\tRELEASE\tURL", func(a AppInfo) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s", a.Name, a.State, releaseName(a.Release), a.URL)
				})
			},
		},
		Verb[appInput, createdApp]{
			Head: Head{
				Name: "apps:create", Group: Apps, Needs: access.Member,
				Example: "blog",
				Short:   "create an app; the first push does so too",
			},
			Run: createApp,
			Text: func(p *Page, a createdApp) {
				p.line("created %s; to deploy:\n  git remote add paas %s\n  git push paas main", a.App, a.Git)
				if a.HTTPS != "" {
					p.line("or, with a token: git remote add paas %s", a.HTTPS)
				}
			},
		},
		Verb[appInput, existingApp]{
			Head: Head{
				Name: "apps:exists", Group: Apps, Needs: access.View,
				Example: "blog",
				Short:   "tell by the exit status whether there is an app of that name",
			},
			Run: func(c *Call, in appInput) (existingApp, error) {
				_, err := c.App(in.App)
				return existingApp{in.App, err == nil}, err
			},
			Text: func(p *Page, a existingApp) { p.line("%s exists", a.App) },
		},
		renameRow(),
		Verb[destroyInput, removed]{
			Head: Head{
				Name: "apps:destroy", Group: Apps, Needs: access.Manage,
				Example: "blog --force",
				Short:   "remove an app with all its releases and data",
			},
			Run:  destroyApp,
			Text: printRemoved,
		},
		Verb[appInput, AppInfo]{
			Head: Head{
				Name: "apps:info", Group: Apps, Needs: access.View,
				Example: "blog",
				Short:   "show what is live, since when, by whom",
			},
			Run:  infoApp,
			Text: printApp,
		},
		Verb[appInput, appURL]{
			Head: Head{
				Name: "url", Group: Apps, Needs: access.View,
				Example: "blog",
				Short:   "show the app's address",
			},
			Run: func(c *Call, in appInput) (appURL, error) {
				app, err := c.App(in.App)
				return appURL{in.App, c.URL(app.Name)}, err
			},
			Text: func(p *Page, a appURL) { p.line("%s", a.URL) },
		},
	}
}

type existingApp struct {
	App    string `json:"app"`
	Exists bool   `json:"exists"`
}

type appURL struct {
	App string `json:"app"`
	URL string `json:"url"`
}

// AppInfo describes an app. Its State is running, starting, crashed, stopped, scaled to 0, cron,
// asleep, watch, changing, damaged, empty, or paused, after it was restored.
type AppInfo struct {
	Name    string      `json:"name"`
	URL     string      `json:"url"`
	State   string      `json:"state"`
	Release int         `json:"release,omitempty"`
	Commit  string      `json:"commit,omitempty"`
	Branch  string      `json:"branch,omitempty"`
	Subject string      `json:"subject,omitempty"`
	Kind    string      `json:"kind,omitempty"`
	By      string      `json:"by,omitempty"`
	Cause   string      `json:"cause,omitempty"`
	Since   time.Time   `json:"since,omitzero"`
	Git     string      `json:"git"`
	HTTPS   string      `json:"git_https,omitempty"` // for git with a token
	Source  *SourceInfo `json:"source,omitempty"`    // the repository that it follows, if it does
	Sleep   string      `json:"sleep,omitempty"`     // after so long without a request; empty: never
	Asleep  time.Time   `json:"asleep_since,omitzero"`

	Problem string `json:"problem,omitempty"` // which file is damaged, and what to do about it

	Storage []StorageInfo `json:"storage,omitempty"` // only for one app

	Isolation string `json:"isolation,omitempty"` // what keeps it apart from others
}

func listApps(c *Call, _ struct{}) (apps []AppInfo, err error) {
	err = c.eachApp("", func(app volume.App) error {
		i, err := c.appInfo(app)
		apps = append(apps, i)
		return err
	})
	return apps, err
}

// appInfo describes the app. A damaged file is no error: it is the Problem, and the facts that it
// holds are left out.
func (c *Call) appInfo(app volume.App) (AppInfo, error) {
	i, err := c.liveInfo(app)
	if volume.IsDamage(err) {
		i.State, i.Problem, err = "damaged", err.Error(), nil
	}
	if err != nil {
		return i, err
	}
	source, ok, err := app.Source()
	if err == nil && ok {
		var s SourceInfo
		s, err = c.sourceInfo(app, source)
		i.Source = &s
	}
	if volume.IsDamage(err) {
		i.Problem, err = cmp.Or(i.Problem, err.Error()), nil
	}
	return i, err
}

// liveInfo describes the app's live release and its processes.
func (c *Call) liveInfo(app volume.App) (AppInfo, error) {
	i := AppInfo{Name: app.Name, URL: c.URL(app.Name), State: "empty", Git: c.gitURL(app.Name)}
	i.HTTPS = c.GitHTTPS(app.Name)
	n := app.Live()
	if n == 0 {
		_, waits, err := app.Restored()
		if waits {
			i.State = "paused"
		}
		return i, err
	}
	r, err := app.Release(n)
	if err != nil {
		return i, err
	}
	i.Release, i.Commit, i.Branch, i.Subject = n, r.Commit, r.Branch, r.Subject
	i.By, i.Cause = r.By, r.Cause
	if s, err := app.Status(n); err == nil {
		i.Since = s.At
	}
	if r.OnlyFiles() {
		i.State, i.Kind = string(volume.OnlyFiles), "only files"
		worktree := git.Worktree{Dir: app.Worktree(), State: app.WorktreeState()}
		_, settled, err := worktree.Commit()
		if err != nil || !settled {
			i.State = "changing" // or left half changed, or its state is damaged: the next push repairs it
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
		i.Sleep = sleepTime(wanted.Sleep)
	}
	processes, err := c.processes(app)
	if err != nil {
		return i, err
	}
	idle, err := c.idle(app, wanted, processes)
	switch i.State, i.Asleep = idle.Idle, idle.Asleep; {
	case i.State != "":
	case !c.serving():
		i.State = stopped
	default:
		i.State = overall(processes)
	}
	return i, err
}

type createdApp struct {
	App   string `json:"app"`
	Git   string `json:"git"`
	HTTPS string `json:"git_https,omitempty"`
}

func createApp(c *Call, in appInput) (createdApp, error) {
	if err := c.mayCreate(in.App); err != nil {
		return createdApp{}, err
	}
	if err := c.Volume.Free(in.App); err != nil { // of an app that has another name now
		return createdApp{}, err
	}
	app, err := c.create(in.App)
	if err != nil {
		return createdApp{}, err
	}
	c.did(app.Name, "")
	return createdApp{app.Name, c.gitURL(app.Name), c.GitHTTPS(app.Name)}, nil
}

type destroyInput struct {
	App   string `json:"app" arg:"APP"`
	Force bool   `json:"force" flag:"force" help:"yes, remove it for ever"`
}

func destroyApp(c *Call, in destroyInput) (removed, error) {
	app, err := c.App(in.App)
	if err != nil {
		return removed{}, err
	}
	if !in.Force {
		return removed{}, &Fault{
			Kind: Usage, Field: "force", Next: "to do it: apps:destroy " + app.Name + " --force",
			Err: fmt.Errorf("this removes %s with its releases, config vars and data forever", app.Name),
		}
	}
	done, err := app.Turn(c, c.Caller.Name+"'s "+c.verb, c.waiting) // also for a damaged app
	if err != nil {
		return removed{}, err
	}
	defer done()
	if err := c.stillMay(app.Name); err != nil {
		return removed{}, err
	}
	id, _ := access.AppID(app) // also for one that has lost it
	// First, so that no later app of that name finds them.
	if err := c.Volume.Credentials(app.Name).RemoveAll(); err != nil {
		return removed{}, err
	}
	if err := c.Volume.Destroy(app); err != nil {
		return removed{}, err
	}
	c.did(app.Name, "")
	return removed{app.Name}, c.Rights.Forget(id)
}

func infoApp(c *Call, in appInput) (AppInfo, error) {
	app, err := c.App(in.App)
	if err != nil {
		return AppInfo{}, err
	}
	i, err := c.appInfo(app)
	if err == nil {
		i.Isolation, err = c.Isolation()
	}
	if err == nil && i.Problem == "" {
		i.Storage, err = storageOf(app)
	}
	return i, err
}

func printApp(p *Page, i AppInfo) {
	p.table(func(t io.Writer) {
		state := i.State
		if !i.Asleep.IsZero() {
			state = asleepSince(i.Asleep)
		}
		fmt.Fprintf(t, "app\t%s\nurl\t%s\ngit\t%s\n", i.Name, i.URL, i.Git)
		if i.HTTPS != "" {
			fmt.Fprintf(t, "\t%s, with a token\n", i.HTTPS)
		}
		fmt.Fprintf(t, "state\t%s\n", state)
		if i.Release > 0 {
			since := ""
			if !i.Since.IsZero() {
				since = " since " + when(i.Since)
			}
			fmt.Fprintf(t, "live\tv%d%s\ncommit\t%s %s\nbranch\t%s\nby\t%s (%s)\nkind\t%s\n", i.Release,
				since, i.Commit[:min(12, len(i.Commit))], plain(i.Subject), orNone(i.Branch), i.By, i.Cause, i.Kind)
		}
		if i.Sleep != "" {
			fmt.Fprintf(t, "sleeps\tafter %s without a request\n", i.Sleep)
		}
		if s := i.Source; s != nil {
			fmt.Fprintf(t, "follows\t%s\nsource\t%s %s\n", plain(s.URL), s.State, plain(s.Reason))
		}
		var stored []string
		for _, s := range i.Storage {
			stored = append(stored, s.Path+" "+say.Bytes(s.Bytes))
		}
		if len(stored) > 0 {
			fmt.Fprintf(t, "storage\t%s\n", strings.Join(stored, ", "))
		}
		if i.Problem != "" {
			fmt.Fprintf(t, "problem\t%s\n", plain(i.Problem))
		}
		if i.Isolation != "" {
			fmt.Fprintf(t, "isolation\t%s\n", i.Isolation)
		}
	})
}
