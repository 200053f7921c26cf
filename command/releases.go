package command

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"paas/access"
	"paas/deploy"
	"paas/git"
	"paas/say"
	"paas/volume"
)

func releaseRows() []Row {
	return []Row{
		Verb[releasesInput, releasesAnswer]{
			Head: Head{
				Name: "releases", Group: Running, Needs: access.View,
				Example: "blog -n 5",
				Short:   "list the last releases of an app",
			},
			Run:  listReleases,
			Text: printReleases,
		},
		Stream[rollbackInput, Progress]{
			Head: Head{
				Name: "rollback", Group: Running, Needs: access.Deploy,
				Example: "blog v3",
				Short:   "make an earlier release live again, config vars included",
			},
			Run:  rollback,
			Text: printProgress,
		},
	}
}

type releasesInput struct {
	App    string `json:"app" arg:"APP"`
	Number int    `json:"number" flag:"number,n" value:"N" default:"20" help:"how many releases to show, the newest first"`
	All    bool   `json:"all" flag:"all" help:"show all releases"`
}

type releaseRow struct {
	volume.Release
	Settings  *struct{}     `json:"settings,omitempty"` // hides the config vars' values
	Wanted    *struct{}     `json:"wanted,omitempty"`   // hides what is not part of the release
	Status    volume.Status `json:"status"`
	BuildKept bool          `json:"build_kept"`        // for a rollback
	Problem   string        `json:"problem,omitempty"` // of a damaged file
}

// releasesAnswer is a part of an app's history.
type releasesAnswer struct {
	App      string       `json:"app"`
	Releases []releaseRow `json:"releases"` // the newest first
	More     bool         `json:"more"`     // there are older ones
}

func listReleases(c *Call, in releasesInput) (releasesAnswer, error) {
	a := releasesAnswer{App: in.App, Releases: []releaseRow{}}
	app, err := c.App(in.App)
	if err != nil {
		return a, err
	}
	limit := in.Number
	if in.All {
		limit = math.MaxInt
	}
	if limit < 1 {
		return a, wrong("number", "-n is a number of releases from 1, not %d", limit)
	}
	for n, err := range app.History() {
		if err != nil {
			return a, err
		}
		if a.More = len(a.Releases) == limit; a.More {
			break
		}
		row, err := c.releaseRow(app, n)
		if err != nil {
			return a, err
		}
		a.Releases = append(a.Releases, row)
	}
	return a, nil
}

func (c *Call) releaseRow(app volume.App, n int) (row releaseRow, err error) {
	row.Release, err = app.Release(n)
	if volume.IsDamage(err) {
		row.Release, row.Problem, err = volume.Release{N: n}, err.Error(), nil
	}
	if err != nil {
		return row, err
	}
	row.BuildKept = app.BuildKept(row.Build)
	if row.Status, err = app.Status(n); err != nil {
		return row, err
	}
	if s, cancelled := app.Cancelled(n); cancelled && !row.Status.State.Over() {
		s.At = row.Status.At
		row.Status = s // no runtime has recorded it
	}
	if n == app.Live() && c.serving() {
		crashed, err := app.CrashedOf(n)
		if err != nil && !volume.IsDamage(err) { // ps reports that
			return row, err
		}
		for _, p := range crashed {
			row.Status.Reason = fmt.Sprintf("%s has crashed: %s", p.Name(), p.Reason)
		}
	}
	return row, nil
}

func printReleases(p *Page, a releasesAnswer) {
	if len(a.Releases) == 0 {
		p.line("%s has no releases yet; git push deploys it", a.App)
		return
	}
	list(p, a.Releases, "RELEASE\tSTATE\tBUILD\tWHEN\tBY\tCAUSE\tCOMMIT\tWHAT", func(r releaseRow) string {
		what := r.Subject
		if r.Note != "" {
			what = r.Note
		}
		if r.Status.Reason != "" {
			what += " (" + joined(say.OneLine(r.Status.Reason), Advice(r.Status.Remedy, bare)) + ")"
		}
		if r.Problem != "" {
			what = r.Problem
		}
		build := "-"
		if r.BuildKept {
			build = "kept"
		}
		return fmt.Sprintf("%v\t%s\t%s\t%s\t%s\t%s\t%s\t%s", r.Release, r.Status.State, build, when(r.At),
			orNone(r.By), orNone(r.Cause), orNone(git.Short(r.Commit)), plain(what))
	})
	if a.More {
		p.line("\nolder ones: releases %s --all, or -n N for the last N", a.App)
	}
}

type rollbackInput struct {
	App string `json:"app" arg:"APP"`
	To  string `json:"to" arg:"[vN]"`
}

func rollback(c *Call, in rollbackInput, events Teller[Progress]) error {
	p := progress{events}
	old := func(app volume.App) (volume.Release, string, error) {
		n, err := rollbackTo(app, in.To)
		if err != nil {
			return volume.Release{}, "", err
		}
		r, err := app.Release(n)
		r.Of = n
		if err == nil {
			if r.Settings.ModeOr("") != volume.ByRelease {
				err = conflict("", "v%d was in mode %s: it has no files of its own to go back to", n, r.Settings.Mode)
			} else {
				err = keepStorage(app, &r)
			}
			if err == nil && !app.BuildKept(r.Build) {
				err = c.buildAgain(app, &r, p)
			}
		}
		return r, fmt.Sprintf("rollback to v%d", n), err
	}
	return c.again(in.App, volume.CauseRollback, p, old)
}

// buildAgain makes a new build for a release whose build was removed, or is not in the backup that it
// came from.
func (c *Call) buildAgain(app volume.App, r *volume.Release, p progress) error {
	if !c.serving() { // before anything is written
		return errNotServing
	}
	p.step("The build of %v is gone; building its commit again", *r)
	b, err := deploy.Rebuild(c, app, *r, false, c.Modules, progressLog{p})
	if err != nil {
		return fmt.Errorf("the build of %v was removed, and cannot be made again: %w", *r, err)
	}
	r.Build, r.Of = b.ID, 0
	return nil
}

// rollbackTo is the release to go back to: the one asked for, or the last one before the live one
// that differs from it in code or config vars.
func rollbackTo(app volume.App, to string) (int, error) {
	if to != "" {
		return rollbackToNamed(app, to)
	}
	live := app.Live()
	now, err := app.Release(live)
	if err != nil && !volume.IsDamage(err) { // every other one differs from a damaged one
		return 0, err
	}
	gone := 0 // the newest that differs but has lost its build
	for n, err := range app.Back(live - 1) {
		if err != nil {
			return 0, err
		}
		if s, err := app.Status(n); err != nil || s.State != volume.Retired {
			continue
		}
		r, err := app.Release(n)
		if err != nil || r.Settings.ModeOr("") != volume.ByRelease || same(r, now) {
			continue
		}
		if app.BuildKept(r.Build) {
			return n, nil
		}
		gone = max(gone, n)
	}
	if gone > 0 {
		return gone, nil
	}
	return 0, conflict("", "%s has no earlier release to go back to", app.Name)
}

// same reports whether two releases have the same code and config vars.
func same(a, b volume.Release) bool {
	return a.Build == b.Build && maps.Equal(a.Settings.Config, b.Settings.Config)
}

func rollbackToNamed(app volume.App, name string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "v"))
	if err != nil || n < 1 {
		return 0, wrong("to", "%q is not a release; releases are named v1, v2 and so on", plain(name))
	}
	if _, err := app.Release(n); err != nil {
		return 0, &Fault{
			Kind: NotFound, Field: "to", Err: err, Next: "releases " + app.Name + " lists those it has",
		}
	}
	if n == app.Live() {
		return 0, conflict("", "v%d is live already", n)
	}
	if s, err := app.Status(n); err != nil || s.State != volume.Retired {
		return 0, errors.Join(err, conflict("", "v%d was never live: it is %s", n, s.State))
	}
	return n, nil
}
