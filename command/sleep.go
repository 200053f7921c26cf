package command

import (
	"paas/access"
	"paas/volume"
)

func sleepRows() []Row {
	return []Row{
		Stream[sleepInput, Progress]{
			Head: Head{
				Name: "sleep:set", Group: Running, Needs: access.Operate,
				Example: "blog 10m",
				Short:   "stop all processes after so long without a request, such as 10m; the next request starts them",
			},
			Run:  setSleep,
			Text: printProgress,
		},
	}
}

type sleepInput struct {
	App   string `json:"app" arg:"APP"`
	After string `json:"after" arg:"TIME|off"`
}

func setSleep(c *Call, in sleepInput, events Teller[Progress]) error {
	p := progress{events}
	after, err := parseSleep(in.After)
	if err != nil {
		return wrong("after", "%w", err)
	}
	slept := false
	err = c.changeWanted(in.App, in.After, func(app volume.App, w *volume.Wanted) error {
		if after > 0 {
			s, err := app.Settings()
			if err == nil {
				err = c.maySleep(app, s, *w)
			}
			if err != nil {
				return err
			}
		}
		_, slept, err = c.asleep(app, *w)
		w.Sleep = after
		return err
	})
	if err != nil {
		return err
	}
	if after > 0 {
		p.step("%s sleeps after %s without a request; the next request wakes it",
			in.App, sleepTime(after))
		return nil
	}
	p.step("%s does not sleep", in.App)
	if !slept {
		return nil
	}
	p.step("Waking %s", in.App)
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	return c.awaitFormation(app, everyProcess, p)
}
