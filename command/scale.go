package command

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"

	"paas/access"
	"paas/formation"
	"paas/formation/appjson"
	"paas/volume"
)

func scaleRows() []Row {
	return []Row{
		Stream[scaleInput, Progress]{
			Head: Head{
				Name: "ps:scale", Group: Running, Needs: access.Operate,
				Example: "blog web=2 worker=1",
				Short:   "set how many processes of each type run; without TYPE=N, show how many are wanted",
			},
			Run:  scale,
			Text: printProgress,
		},
	}
}

type scaleInput struct {
	App    string         `json:"app" arg:"APP"`
	Counts map[string]int `json:"counts" arg:"[TYPE=N...]"`
}

func (in *scaleInput) needs(*Call) access.Right {
	if len(in.Counts) == 0 {
		return access.View
	}
	return access.Operate
}

func scale(c *Call, in scaleInput, events Teller[Progress]) error {
	p := progress{events}
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	if len(in.Counts) == 0 {
		return c.tellFormation(app, p)
	}
	if err := checkCounts(in.Counts); err != nil {
		return err
	}
	live := app.Live()
	if err := serverRuns(app); err != nil {
		return err
	}
	said := strings.Join(spellCounts(in.Counts), " ")
	err = c.changeWanted(app.Name, said, func(app volume.App, w *volume.Wanted) error {
		if live > 0 {
			if err := c.haveTypes(app, *w, in.Counts); err != nil {
				return err
			}
		}
		counts := copyOf(w.Formation)
		maps.Copy(counts, in.Counts)
		w.Formation, w.Wake = counts, rand.Text()
		return nil
	})
	switch {
	case err != nil:
		return err
	case live == 0:
		p.answer("%s; for the first release of %s", said, app.Name)
		return nil
	case !c.serving():
		p.answer(laterText)
		return nil
	}
	p.step("Scaling %s: %s", app.Name, said)
	scaled := func(p volume.Process) bool { _, ok := in.Counts[p.Type]; return ok }
	return c.awaitFormation(app, scaled, p)
}

// spellCounts is TYPE=N of each type, the web process first.
func spellCounts(counts map[string]int) (pairs []string) {
	for _, t := range slices.SortedFunc(maps.Keys(counts), formation.Compare) {
		pairs = append(pairs, fmt.Sprintf("%s=%d", t, counts[t]))
	}
	return pairs
}

func checkCounts(counts map[string]int) error {
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		if err := appjson.CheckQuantity(counts[t]); err != nil {
			return wrong("counts", "%w", err)
		}
		if !formation.Scalable(t, "") {
			return wrong("counts", "%s cannot be scaled: it does not run continuously", plain(t))
		}
	}
	return nil
}

// haveTypes fails if the app's live release lacks one of the process types.
func (c *Call) haveTypes(app volume.App, w volume.Wanted, counts map[string]int) error {
	lines, _, err := c.formation(app, w)
	if err != nil {
		return err
	}
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		if _, there := lines[t]; !there {
			return &Fault{
				Kind: NotFound, Field: "counts",
				Err:  fmt.Errorf("%s has no process type %q", app.Name, plain(t)),
				Next: "it has " + strings.Join(slices.Sorted(maps.Keys(lines)), ", "),
			}
		}
	}
	return nil
}

// tellFormation tells how many processes of each type are wanted.
func (c *Call) tellFormation(app volume.App, p progress) error {
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	all := maps.Clone(w.Formation)
	if app.Live() > 0 {
		if err := serverRuns(app); err != nil {
			return err
		}
		lines, counts, err := c.formation(app, w)
		if err != nil {
			return err
		}
		all = map[string]int{}
		for t := range lines {
			all[t] = counts[t]
		}
	}
	p.tell(Progress{Event: Answer, Text: strings.Join(spellCounts(all), "\n"), Formation: all})
	return nil
}
