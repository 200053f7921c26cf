package command

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"paas/access"
	"paas/formation"
	"paas/volume"
)

func limitRows() []Row {
	return []Row{
		Verb[appInput, limitsAnswer]{
			Head: Head{
				Name: "limits", Group: Running, Needs: access.View,
				Example: "blog",
				Short:   "show what each process of an app may use, and the limits of those that run",
			},
			Run:  showLimits,
			Text: printLimits,
		},
		Stream[setLimitsInput, Progress]{
			Head: Head{
				Name: "limits:set", Group: Running, Needs: access.Operate,
				Example: "blog worker memory=256M cpu=0.5",
				Short:   "limit each process, or those of one type: memory=256M, cpu=0.5, processes=100; off removes a limit",
			},
			Run:  setLimits,
			Text: printProgress,
		},
	}
}

// limitsAnswer is what the processes of an app may use.
type limitsAnswer struct {
	App     string                   `json:"app"`
	Wanted  map[string]volume.Limits `json:"wanted"` // by type; "" is the default
	InForce []limitsInForce          `json:"in_force"`
	Missing []string                 `json:"missing,omitempty"` // what the server cannot enforce
}

// limitsInForce is the limits of a process that runs. While a release replaces another, two of them
// have one name.
type limitsInForce struct {
	Process string `json:"process"`
	Release int    `json:"release"`
	PID     int    `json:"pid"`
	volume.Limits
}

func showLimits(c *Call, in appInput) (limitsAnswer, error) {
	a := limitsAnswer{App: in.App, InForce: []limitsInForce{}}
	app, err := c.App(in.App)
	if err != nil {
		return a, err
	}
	w, err := app.Wanted()
	if err != nil {
		return a, err
	}
	processes, err := c.processes(app)
	if err != nil {
		return a, err
	}
	a.Wanted = copyOf(w.Limits)
	for _, p := range processes {
		if p.PID > 0 {
			a.InForce = append(a.InForce, limitsInForce{p.Name(), p.Release, p.PID, p.Limits})
		}
	}
	a.Missing = missingLimits(w, processes)
	return a, nil
}

func printLimits(p *Page, a limitsAnswer) {
	limited := func(p limitsInForce) bool { return p.Limits != volume.Limits{} }
	if len(a.Wanted) == 0 && !slices.ContainsFunc(a.InForce, limited) {
		p.line("%s has no limits; limits:set %s memory=256M cpu=0.5 processes=100 "+
			"sets them for each of its processes", a.App, a.App)
		return
	}
	p.table(func(t io.Writer) {
		fmt.Fprintln(t, "WANTED\tMEMORY\tCPU\tPROCESSES")
		for _, name := range slices.Sorted(maps.Keys(a.Wanted)) {
			fmt.Fprintf(t, "%s\t%s\n", cmp.Or(name, "each"), limitCells(a.Wanted[name]))
		}
		if len(a.InForce) > 0 {
			fmt.Fprintln(t, "\nIN FORCE\tMEMORY\tCPU\tPROCESSES\tRELEASE\tPID")
		}
		for _, p := range a.InForce {
			fmt.Fprintf(t, "%s\t%s\tv%d\t%d\n", p.Process, limitCells(p.Limits), p.Release, p.PID)
		}
	})
	if len(a.Missing) > 0 {
		p.warn("%s", missingText(a.Missing))
	}
}

func limitCells(l volume.Limits) string {
	cells := []string{"-", "-", "-"}
	if l.Memory > 0 {
		cells[0] = memoryText(l.Memory)
	}
	if l.CPU > 0 {
		cells[1] = strconv.FormatFloat(l.CPU, 'f', -1, 64)
	}
	if l.Processes > 0 {
		cells[2] = strconv.Itoa(l.Processes)
	}
	return strings.Join(cells, "\t")
}

// missingLimits are the limits that running processes should have and that this server cannot
// enforce.
func missingLimits(w volume.Wanted, processes []volume.Process) (names []string) {
	var memory, cpu, count bool
	for _, p := range processes {
		if p.PID == 0 || p.State != running || p.Failure != "" || p.Type == formation.Run {
			continue // it keeps the limits that it started with
		}
		want := w.LimitsOf(p.Type)
		memory = memory || want.Memory > 0 && p.Limits.Memory == 0
		cpu = cpu || want.CPU > 0 && p.Limits.CPU == 0
		count = count || want.Processes > 0 && p.Limits.Processes == 0
	}
	for _, l := range []struct {
		missing bool
		name    string
	}{{memory, "memory"}, {cpu, "cpu"}, {count, "processes"}} {
		if l.missing {
			names = append(names, l.name)
		}
	}
	return names
}

func missingText(names []string) string {
	return "this server cannot enforce: " + strings.Join(names, " and ") +
		"; for that it must run as root outside of a container, or with Delegate=yes in its systemd unit"
}

type setLimitsInput struct {
	App    string            `json:"app" arg:"APP"`
	Type   string            `json:"type" arg:"[TYPE]"`
	Limits map[string]string `json:"limits" arg:"LIMIT=VALUE..."`
}

// unscaled are the process types that may have limits although they cannot be scaled.
var unscaled = []string{formation.Release, "cron", formation.Run}

var errSame = errors.New("nothing changes")

func setLimits(c *Call, in setLimitsInput, events Teller[Progress]) error {
	p := progress{events}
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	if err := serverRuns(app); err != nil {
		return err
	}
	var note []string
	if in.Type != "" {
		note = append(note, in.Type)
	}
	for _, key := range slices.Sorted(maps.Keys(in.Limits)) {
		note = append(note, key+"="+in.Limits[key])
	}
	said := strings.Join(note, " ")
	var affected map[string]string
	err = c.changeWanted(app.Name, said, func(app volume.App, w *volume.Wanted) (err error) {
		affected, err = c.changeLimits(app, w, in)
		return err
	})
	switch {
	case errors.Is(err, errSame):
		p.answer("nothing changes")
		return nil
	case err != nil:
		return err
	case app.Live() == 0:
		p.answer("%s; for the first release of %s", said, app.Name)
		return nil
	case !c.serving():
		p.answer(laterText)
		return nil
	case len(affected) == 0:
		p.answer("this takes effect for processes that start from now on")
		return nil
	}
	p.step("Limiting %s: %s", app.Name, said)
	isAffected := func(p volume.Process) bool { return affected[p.Type] != "" }
	if err := c.awaitFormation(app, isAffected, p); err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	processes, err := app.Processes()
	if missing := missingLimits(w, processes); len(missing) > 0 {
		p.note("%s", missingText(missing))
	}
	return err
}

// changeLimits changes the limits of a type, or the default, and asks for a restart of the
// processes that they apply to. It returns their types; none if no release is live.
func (c *Call) changeLimits(
	app volume.App, w *volume.Wanted, in setLimitsInput,
) (affected map[string]string, err error) {
	l := w.Limits[in.Type]
	for _, key := range slices.Sorted(maps.Keys(in.Limits)) {
		if err := changeLimit(&l, key, in.Limits[key]); err != nil {
			return nil, wrong("limits", "%w", err)
		}
	}
	if l == w.Limits[in.Type] {
		return nil, errSame
	}
	before := *w
	if w.Limits = with(w.Limits, in.Type, l); l == (volume.Limits{}) {
		delete(w.Limits, in.Type)
	}
	if app.Live() == 0 {
		return nil, nil
	}
	lines, _, err := c.formation(app, *w)
	if err != nil {
		return nil, err
	}
	if _, there := lines[in.Type]; in.Type != "" && !there && !slices.Contains(unscaled, in.Type) {
		return nil, &Fault{
			Kind: NotFound, Field: "type",
			Err: fmt.Errorf("%s has no process type %q", app.Name, plain(in.Type)),
			Next: fmt.Sprintf("it has %s; and there are %s",
				strings.Join(slices.Sorted(maps.Keys(lines)), ", "), strings.Join(unscaled, ", ")),
		}
	}
	maps.DeleteFunc(lines, func(t, _ string) bool { return w.LimitsOf(t) == before.LimitsOf(t) })
	for t := range lines {
		w.Restarts = with(w.Restarts, t, rand.Text())
	}
	return lines, nil
}

// changeLimit sets a limit, such as memory to 256M. off removes it.
func changeLimit(l *volume.Limits, key, value string) (err error) {
	off := slices.Contains([]string{"", "off", "none", "unlimited"}, strings.ToLower(value))
	switch {
	case key == "memory" && off:
		l.Memory = 0
	case key == "cpu" && off:
		l.CPU = 0
	case key == "processes" && off:
		l.Processes = 0
	case key == "memory":
		l.Memory, err = parseMemory(value)
	case key == "cpu":
		l.CPU, err = parseCPU(value, runtime.NumCPU())
	case key == "processes":
		l.Processes, err = parseProcesses(value)
	default:
		err = fmt.Errorf("no limit %q; there are memory, cpu and processes", plain(key))
	}
	return err
}
