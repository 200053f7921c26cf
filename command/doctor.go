package command

import (
	"fmt"
	"strings"

	"paas/access"
	"paas/doctor"
	"paas/say"
)

func doctorRows() []Row {
	return []Row{
		Stream[struct{}, doctor.Finding]{
			Head: Head{
				Name: "doctor", Group: Operate, Needs: access.Admin,
				Example: "--format json",
				Short:   "look for what is wrong with the server and its machine, and say what to do",
				More: "The exit status is 1 if something does not work or soon will not, and 0 if there is nothing,\n" +
					"or only advice. As JSON each check is a line, also those that found nothing.",
			},
			Run:  examine,
			Text: func(p *Page) Teller[doctor.Finding] { return &doctorPage{p: p} },
		},
	}
}

func examine(c *Call, _ struct{}, events Teller[doctor.Finding]) error {
	faults := 0
	for f := range c.Examine(c) {
		if f.Level == doctor.Fault {
			faults++
		}
		if err := events.Tell(f); err != nil {
			return err
		}
	}
	switch {
	case c.Err() != nil:
		return c.Err()
	case faults > 0:
		if err := events.Flush(); err != nil {
			return err
		}
		return Exit(1)
	}
	return nil
}

// doctorPage shows what was found, and in one line what is well.
type doctorPage struct {
	p      *Page
	well   []string
	others int
}

func (d *doctorPage) Tell(f doctor.Finding) error {
	switch f.Level {
	case doctor.OK:
		d.well = append(d.well, f.Check)
		return nil
	case doctor.Fault:
		say.Fault(d.p, "%s: %s", f.Check, f.Problem)
	default:
		say.Step(d.p, "%s: %s", f.Check, f.Problem)
	}
	d.others++
	if f.Remedy != "" {
		say.Detail(d.p, "%s", f.Remedy)
	}
	return d.p.err
}

func (d *doctorPage) Flush() error {
	if len(d.well) > 0 {
		d.p.line("well: %s", strings.Join(d.well, ", "))
		d.well = nil
	}
	if d.others == 0 {
		fmt.Fprintln(d.p, "nothing is wrong")
		d.others = -1
	}
	return d.p.err
}
