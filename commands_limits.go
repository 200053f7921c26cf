package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"paas/engine/local/limits"
	"paas/runtime"
	"paas/say"
	"paas/volume"
)

var limitVerbs = []verb{
	{use: "limits APP", short: "what each process of an app may use, and what those that run are held to", args: args(1, 1), flags: withFormat, run: showLimits},
	{use: "limits:set APP [TYPE] [memory=256M] [cpu=0.5] [processes=100]", short: "limit each process, or those of one type; memory=off takes a limit away", args: args(2, -1), run: setLimits},
}

// others are what may have limits of their own beside the types of a formation.
var others = []string{"release", "cron", "run"}

// limitsInfo is what limits says.
type limitsInfo struct {
	Wanted  map[string]volume.Limits `json:"wanted"`   // by type; "" is every type, under what its own name says
	InForce map[string]volume.Limits `json:"in_force"` // by process
}

func showLimits(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	processes, err := c.processes(app)
	if err != nil {
		return err
	}
	info := limitsInfo{map[string]volume.Limits{}, map[string]volume.Limits{}}
	maps.Copy(info.Wanted, w.Limits)
	for _, p := range processes {
		if _, replaced := info.InForce[p.Name()]; p.PID > 0 && !replaced { // what is on its way out comes behind
			info.InForce[p.Name()] = p.Limits
		}
	}
	return c.print(info, func() error {
		if len(info.Wanted) == 0 && !slices.ContainsFunc(processes, func(p volume.Process) bool { return p.Limits != volume.Limits{} }) {
			fmt.Fprintf(c.out, "%s has no limits; limits:set %s memory=256M cpu=0.5 processes=100 sets them for each of its processes\n", app.Name, app.Name)
			return nil
		}
		t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "WANTED\tMEMORY\tCPU\tPROCESSES")
		for _, name := range slices.Sorted(maps.Keys(info.Wanted)) {
			fmt.Fprintf(t, "%s\t%s\n", cmp.Or(name, "each"), limitColumns(info.Wanted[name]))
		}
		if len(info.InForce) > 0 {
			fmt.Fprintln(t, "\nIN FORCE\tMEMORY\tCPU\tPROCESSES")
		}
		for _, p := range processes {
			if p.PID > 0 {
				fmt.Fprintf(t, "%s\t%s\n", p.Name(), limitColumns(p.Limits))
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
		sayNotHeld(c, w, processes)
		return nil
	})
}

func limitColumns(l volume.Limits) string {
	columns := []string{"-", "-", "-"}
	if l.Memory > 0 {
		columns[0] = limits.MemoryText(l.Memory)
	}
	if l.CPU > 0 {
		columns[1] = strconv.FormatFloat(l.CPU, 'f', -1, 64)
	}
	if l.Processes > 0 {
		columns[2] = strconv.Itoa(l.Processes)
	}
	return strings.Join(columns, "\t")
}

// sayNotHeld says which limits that are wanted of processes that run cannot be held on this server.
func sayNotHeld(c *call, w volume.Wanted, processes []volume.Process) {
	missing := map[string]bool{}
	for _, p := range processes {
		want := w.LimitsOf(p.Type)
		if p.PID == 0 || p.State != string(runtime.Running) || p.Failure != "" || p.Type == "run" { // these keep what they were started with
			continue
		}
		missing["memory"] = missing["memory"] || want.Memory > 0 && p.Limits.Memory == 0
		missing["cpu"] = missing["cpu"] || want.CPU > 0 && p.Limits.CPU == 0
		missing["processes"] = missing["processes"] || want.Processes > 0 && p.Limits.Processes == 0
	}
	var names []string
	for _, name := range []string{"memory", "cpu", "processes"} {
		if missing[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		say.Fault(c.err, "not held on this server: %s; it would have to run as root outside of containers, "+
			"or with Delegate=yes in its systemd unit", strings.Join(names, " and "))
	}
}

func setLimits(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	name, pairs := "", c.args[1:]
	if !strings.Contains(pairs[0], "=") {
		name, pairs = pairs[0], pairs[1:]
	}
	if len(pairs) == 0 {
		return usageError(errors.New("usage: " + c.cmd.UseLine()))
	}
	if app.Live() > 0 {
		if err := notInPlace(app); err != nil {
			return err
		}
	}
	var affected map[string]string
	note := strings.Join(c.args[1:], " ")
	err = c.changeRunning(note, func(w *volume.Wanted) error {
		all := maps.Clone(w.Limits)
		if all == nil {
			all = map[string]volume.Limits{}
		}
		l := all[name]
		for _, pair := range pairs {
			if err := changeLimit(&l, pair); err != nil {
				return usageError(fmt.Errorf("%w; usage: %s", err, c.cmd.UseLine()))
			}
		}
		if l == all[name] {
			return errSame
		}
		if all[name] = l; l == (volume.Limits{}) {
			delete(all, name)
		}
		before := *w
		w.Limits = all
		if app.Live() == 0 {
			return nil
		}
		types, _, err := c.formation(app, *w)
		if err != nil {
			return err
		}
		if _, there := types[name]; name != "" && !there && !slices.Contains(others, name) {
			return fmt.Errorf("%s has no process type %q; it has %s; and there are %s", app.Name, plain(name),
				strings.Join(slices.Sorted(maps.Keys(types)), ", "), strings.Join(others, ", "))
		}
		maps.DeleteFunc(types, func(t, _ string) bool { return w.LimitsOf(t) == before.LimitsOf(t) })
		affected = types
		restarts := maps.Clone(w.Restarts)
		if restarts == nil {
			restarts = map[string]string{}
		}
		for t := range affected {
			restarts[t] = rand.Text()
		}
		w.Restarts = restarts
		return nil
	})
	switch {
	case errors.Is(err, errSame):
		fmt.Fprintln(c.out, "nothing changes")
		return nil
	case err != nil:
		return err
	case app.Live() == 0:
		fmt.Fprintf(c.out, "%s; for the first release of %s\n", note, app.Name)
		return nil
	case !c.serving():
		fmt.Fprintln(c.out, "the server is not running; this takes effect when it starts (paas serve)")
		return nil
	case len(affected) == 0:
		fmt.Fprintln(c.out, "it counts for what starts from now on")
		return nil
	}
	say.Step(c.out, "Limiting %s: %s", app.Name, note)
	if err := c.settle(app, func(p volume.Process) bool { return affected[p.Type] != "" }); err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	processes, err := app.Processes()
	if err == nil {
		sayNotHeld(c, w, processes)
	}
	return err
}

var errSame = errors.New("nothing changes")

// changeLimit sets what pair says, such as memory=256M; off is no limit.
func changeLimit(l *volume.Limits, pair string) (err error) {
	key, value, ok := strings.Cut(pair, "=")
	off := slices.Contains([]string{"", "off", "none", "unlimited"}, strings.ToLower(value))
	switch {
	case !ok:
		return fmt.Errorf("%q is not of the form memory=256M", plain(pair))
	case key == "memory" && off:
		l.Memory = 0
	case key == "cpu" && off:
		l.CPU = 0
	case key == "processes" && off:
		l.Processes = 0
	case key == "memory":
		l.Memory, err = limits.ParseMemory(value)
	case key == "cpu":
		l.CPU, err = limits.ParseCPU(value, goruntime.NumCPU())
	case key == "processes":
		l.Processes, err = limits.ParseProcesses(value)
	default:
		return fmt.Errorf("no limit %q; there are memory, cpu and processes", plain(key))
	}
	return err
}
