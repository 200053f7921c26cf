package command

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"paas/access"
	"paas/say"
	"paas/volume"
)

func psRows() []Row {
	return []Row{
		Verb[optionalApp, oneOrAll[processesAnswer]]{
			Head: Head{
				Name: "ps", Group: Running, Needs: access.View,
				Aliases: []string{"ps:report"}, Example: "blog",
				Short: "list the processes of an app, or of all apps",
			},
			Run:  showProcesses,
			Text: printPS,
		},
		Stream[restartInput, Progress]{
			Head: Head{
				Name: "ps:restart", Group: Running, Needs: access.Deploy,
				Example: "blog worker",
				Short:   "restart all processes without a gap, or only those of TYPE, or one",
			},
			Run:  restart,
			Text: printProgress,
		},
		Stream[appInput, Progress]{
			Head: Head{
				Name: "ps:stop", Group: Running, Needs: access.Operate,
				Example: "blog",
				Short:   "stop all processes, until ps:start or the next release",
			},
			Run:  stopApp,
			Text: printProgress,
		},
		Stream[appInput, Progress]{
			Head: Head{
				Name: "ps:start", Group: Running, Needs: access.Operate,
				Example: "blog",
				Short:   "start an app that was stopped, or wake one that sleeps",
			},
			Run:  startApp,
			Text: printProgress,
		},
	}
}

func showProcesses(c *Call, in optionalApp) (a oneOrAll[processesAnswer], err error) {
	err = c.eachApp(in.App, func(app volume.App) error {
		of, err := c.listProcesses(app)
		if in.App != "" {
			a.one = &of
		} else if err == nil {
			a.all = append(a.all, of)
		}
		return err
	})
	return a, err
}

func printPS(p *Page, a oneOrAll[processesAnswer]) {
	if a.one != nil {
		printProcesses(p, *a.one)
		return
	}
	for _, of := range a.all {
		say.Step(p, "%s", of.App)
		printProcesses(p, of)
	}
}

// processesAnswer is the processes of an app. If it is idle, they are ending, or people run them
// once.
type processesAnswer struct {
	App string `json:"app"`
	idleness
	Processes []volume.Process `json:"processes"`
}

func (c *Call) listProcesses(app volume.App) (a processesAnswer, err error) {
	processes, err := c.processes(app)
	if err != nil {
		return a, err
	}
	w, err := app.Wanted()
	if volume.IsDamage(err) {
		c.warn("%s", plain(err.Error()))
		err = nil
	}
	if err != nil {
		return a, err
	}
	idle, err := c.idle(app, w, processes)
	return processesAnswer{app.Name, idle, listed(processes)}, err
}

func printProcesses(p *Page, a processesAnswer) {
	none := a.App + " has no running processes"
	switch a.Idle {
	case "":
	case asleep:
		none = a.App + " is " + asleepSince(a.Asleep)
	case onlyCron:
		none = fmt.Sprintf("%s has only commands that run by the clock; %s shows them", a.App, a.Next)
	default:
		none = fmt.Sprintf("%s is %s; %s starts it", a.App, a.Idle, a.Next)
	}
	if len(a.Processes) == 0 {
		p.line("%s", none)
		return
	}
	const heading = "PROCESS\tSTATE\tRELEASE\tPID\tSINCE\tRESTARTS\tREASON"
	list(p, a.Processes, heading, func(p volume.Process) string {
		pid := "-"
		if p.PID > 0 {
			pid = strconv.Itoa(p.PID)
		}
		return fmt.Sprintf("%s\t%s\tv%d\t%s\t%s\t%d\t%s", p.Name(), p.State, p.Release, pid,
			when(p.Since), p.Restarts, orNone(plain(reason(p))))
	})
	for _, process := range a.Processes {
		if len(process.Last) == 0 {
			continue
		}
		p.line("\nthe last lines of %s:", process.Name())
		for _, line := range process.Last {
			say.Detail(p, "%s", plain(line))
		}
	}
	if a.Idle != "" {
		p.line("\n%s", none)
	}
}

type restartInput struct {
	App  string `json:"app" arg:"APP"`
	Name string `json:"name" arg:"[TYPE[.N]]"`
}

func restart(c *Call, in restartInput, events Teller[Progress]) error {
	p := progress{events}
	if in.Name == "" {
		live := func(app volume.App) (volume.Release, string, error) {
			r, err := app.Release(app.Live())
			r.Of = r.N
			if err == nil {
				err = takeConfig(app, &r)
			}
			return r, "", err
		}
		return c.again(in.App, volume.CauseRestart, p, live)
	}
	app, r, err := c.running(in.App)
	if err != nil {
		return err
	}
	if !c.serving() {
		return errNothingRuns
	}
	processes, err := c.restartable(app)
	if err != nil {
		return err
	}
	meant := func(p volume.Process) bool { return p.Type == in.Name || p.Name() == in.Name }
	if !slices.ContainsFunc(processes, meant) {
		var names []string
		for _, p := range processes {
			names = append(names, p.Name())
		}
		return &Fault{
			Kind: NotFound, Field: "name", Next: "these run: " + cmp.Or(strings.Join(names, ", "), "none"),
			Err: fmt.Errorf("no process %q of %s runs", plain(in.Name), app.Name),
		}
	}
	p.step("Restarting %s of %s %v", in.Name, app.Name, r)
	err = c.changeWanted(app.Name, in.Name, func(_ volume.App, w *volume.Wanted) error {
		w.Restarts, w.Wake = with(w.Restarts, in.Name, rand.Text()), rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	return c.awaitFormation(app, meant, p)
}

// restartable are the release's running processes; if it sleeps, those that will run.
func (c *Call) restartable(app volume.App) ([]volume.Process, error) {
	w, err := app.Wanted()
	if err != nil {
		return nil, err
	}
	lines, counts, err := c.formation(app, w)
	if err != nil {
		return nil, err
	}
	if _, asleep, err := c.asleep(app, w); asleep || err != nil {
		return counted(counts), err
	}
	processes, err := app.Processes()
	isOnce := func(p volume.Process) bool { return lines[p.Type] == "" }
	return slices.DeleteFunc(processes, isOnce), err
}

func stopApp(c *Call, in appInput, events Teller[Progress]) error {
	p := progress{events}
	app, _, err := c.running(in.App)
	if err != nil {
		return err
	}
	err = c.changeWanted(app.Name, "", func(app volume.App, w *volume.Wanted) error {
		w.Stopped = app.Live()
		return nil
	})
	if err == nil && c.serving() {
		err = c.awaitFormation(app, everyProcess, p)
	}
	if err == nil {
		p.step("%s is stopped; ps:start %s starts it, and so does its next release", app.Name, app.Name)
	}
	return err
}

func startApp(c *Call, in appInput, events Teller[Progress]) error {
	p := progress{events}
	app, _, err := c.running(in.App)
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	_, asleep, err := c.asleep(app, w)
	if err != nil {
		return err
	}
	if w.Stopped != app.Live() && !asleep {
		return conflict("ps:restart "+app.Name+" restarts it", "%s is not stopped", app.Name)
	}
	err = c.changeWanted(app.Name, "", func(_ volume.App, w *volume.Wanted) error {
		w.Stopped, w.Wake = 0, rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	if !c.serving() {
		p.answer(laterText)
		return nil
	}
	if err := c.awaitFormation(app, everyProcess, p); err != nil {
		return err
	}
	p.step("%s is started: %s", app.Name, c.URL(app.Name))
	return nil
}
