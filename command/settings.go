package command

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/git"
	"paas/volume"
)

func settingRows() []Row {
	return []Row{
		Verb[appInput, settingsAnswer]{
			Head: Head{
				Name: "settings", Group: Config, Needs: access.View,
				Example: "blog",
				Short:   "show the settings of an app",
			},
			Run: func(c *Call, in appInput) (settingsAnswer, error) {
				app, err := c.App(in.App)
				if err != nil {
					return settingsAnswer{}, err
				}
				s, w, err := settingsOf(app)
				return c.settingsAnswer(s, w), err
			},
			Text: printSettings,
		},
		Verb[setSettingsInput, settingsAnswer]{
			Head: Head{
				Name: "settings:set", Group: Config, Needs: access.Operate,
				Example: "blog branch=production grace=30s",
				Short:   "set branch, mode=release|watch|worktree, prove=5s, grace=10s, sleep=10m, protocol=http1|h2c, max-body=10M, error-pages=FOLDER, build-dir=FOLDER, buildpack=URL",
			},
			Run:  setSettings,
			Text: printSettings,
		},
	}
}

// settingsAnswer is the settings that an app has, its own or the server's.
type settingsAnswer struct {
	Branch    string      `json:"branch"`
	Mode      volume.Mode `json:"mode"`
	Prove     Duration    `json:"prove"`
	Grace     Duration    `json:"grace"`
	Sleep     string      `json:"sleep"`
	Protocol  string      `json:"protocol"`
	MaxBody   string      `json:"max_body"`
	Pages     string      `json:"error_pages"`
	BuildDir  string      `json:"build_dir"`
	Buildpack string      `json:"buildpack"`

	Maintenance bool     `json:"maintenance"`
	Users       []string `json:"users"`
	Allow       []string `json:"allow"`

	Later string `json:"later,omitempty"` // which change does not take effect at once
}

func (c *Call) settingsAnswer(s volume.Settings, w volume.Wanted) settingsAnswer {
	prove := c.Prove
	if w.Prove != nil {
		prove = *w.Prove
	}
	return settingsAnswer{
		Branch: s.Branch, Mode: cmp.Or(s.Mode, c.Mode), BuildDir: s.BuildDir, Buildpack: s.Buildpack,
		Prove: Duration(prove), Grace: Duration(cmp.Or(w.Grace, c.Grace)), Sleep: sleepTime(w.Sleep),
		Protocol: protocols[w.HTTP2], MaxBody: sizeOrOff(w.Rules.MaxBody), Pages: cmp.Or(w.ErrorPages, "public"),
		Maintenance: w.Rules.Maintenance, Allow: listed(w.Rules.Allow),
		Users: listed(slices.Sorted(maps.Keys(w.Rules.Users))),
	}
}

func printSettings(p *Page, s settingsAnswer) {
	if s.Later != "" {
		p.info("%s", s.Later)
	}
	p.line("branch=%s\nmode=%s\nprove=%s\ngrace=%s\nsleep=%s\nprotocol=%s\nmax-body=%s\nerror-pages=%s\n"+
		"build-dir=%s\nbuildpack=%s",
		s.Branch, s.Mode, s.Prove, s.Grace, s.Sleep, s.Protocol, s.MaxBody, s.Pages, s.BuildDir, s.Buildpack)
	if s.Maintenance {
		p.line("under maintenance: visitors get 503")
	}
	if len(s.Users) > 0 {
		p.line("visitors need the password of %s", strings.Join(s.Users, ", "))
	}
	if len(s.Allow) > 0 {
		p.line("visitors are let in from %s", strings.Join(s.Allow, ", "))
	}
}

func settingsOf(app volume.App) (volume.Settings, volume.Wanted, error) {
	s, err := app.Settings()
	if err != nil {
		return s, volume.Wanted{}, err
	}
	w, err := app.Wanted()
	return s, w, err
}

type setSettingsInput struct {
	App      string            `json:"app" arg:"APP"`
	Settings map[string]string `json:"settings" arg:"KEY=VALUE..."`
}

func setSettings(c *Call, in setSettingsInput) (settingsAnswer, error) {
	app, done, err := c.turn(in.App)
	if err != nil {
		return settingsAnswer{}, err
	}
	defer done()
	s, w, err := settingsOf(app)
	if err != nil {
		return settingsAnswer{}, err
	}
	before, was := s, w
	var note []string
	for _, key := range slices.Sorted(maps.Keys(in.Settings)) {
		value := in.Settings[key]
		var err error
		if key == "buildpack" {
			err = c.mayName(value)
		}
		if err == nil {
			err = change(&s, &w, key, value)
		}
		if err != nil {
			return settingsAnswer{}, err
		}
		note = append(note, key+"="+value)
	}
	if mode := s.ModeOr(c.Mode); mode != volume.ByRelease && len(s.Storage) > 0 {
		return settingsAnswer{}, conflict("storage:remove "+app.Name+" "+s.Storage[0],
			"%s keeps %s, and mode %s has no storage", app.Name, s.Storage[0], mode)
	}
	if w.Sleep != was.Sleep && w.Sleep > 0 {
		if err := c.maySleep(app, s, w); err != nil {
			return settingsAnswer{}, err
		}
	}
	if !reflect.DeepEqual(s, before) {
		err = app.SetSettings(s)
	}
	if err == nil && !reflect.DeepEqual(w, was) {
		err = app.SetWanted(w)
	}
	if err != nil {
		return settingsAnswer{}, err
	}
	done()
	c.awaitBranch(app)
	c.did(app.Name, strings.Join(note, " "))
	answer := c.settingsAnswer(s, w)
	if live, err := app.Release(app.Live()); err == nil {
		answer.Later = c.later(live.Settings, s)
	}
	return answer, nil
}

// later tells which setting takes effect only at the next push: it differs from the live release's.
func (c *Call) later(live, s volume.Settings) string {
	what := ""
	switch {
	case live.ModeOr("") != s.ModeOr(c.Mode):
		what = "mode"
	case live.BuildDir != s.BuildDir:
		what = "build-dir"
	case live.Buildpack != s.Buildpack:
		what = "buildpack"
	default:
		return ""
	}
	return "the " + what + " takes effect at the next push"
}

// protocols are what web processes may speak with the front door.
var protocols = map[bool]string{false: "http1", true: "h2c"}

// change sets a setting. An empty value restores the default.
func change(s *volume.Settings, w *volume.Wanted, key, value string) (err error) {
	switch key {
	case "branch":
		if s.Branch = value; value != "" {
			err = git.CheckBranch(value)
		}
	case "mode":
		s.Mode = volume.Mode(value)
		if value != "" && !slices.Contains(volume.Modes, s.Mode) {
			err = fmt.Errorf("a mode is release, watch or worktree, not %q", plain(value))
		}
	case "grace":
		w.Grace = 0
		if value == "" {
			return nil
		}
		if w.Grace, err = time.ParseDuration(value); err != nil || w.Grace <= 0 || w.Grace > maxGrace {
			err = fmt.Errorf("a grace is a time such as 30s or 2m, at most 1h, not %q", plain(value))
		}
	case "prove":
		w.Prove = nil
		if value == "" {
			return nil
		}
		prove, parseErr := time.ParseDuration(value)
		if w.Prove = &prove; parseErr != nil || prove < 0 || prove > maxProve {
			err = fmt.Errorf("prove is a time such as 10s, at most 1h, or 0, not %q", plain(value))
		}
	case "sleep":
		w.Sleep, err = parseSleep(cmp.Or(value, "off"))
	case "protocol":
		w.HTTP2 = value == protocols[true]
		if !w.HTTP2 && value != "" && value != protocols[false] {
			err = fmt.Errorf("a protocol is http1 or h2c, HTTP/2 without TLS, not %q", plain(value))
		}
	case "max-body":
		w.Rules.MaxBody, err = parseMaxBody(cmp.Or(value, "off"))
	case "error-pages":
		if w.ErrorPages, err = volume.CheckFolder("error-pages", value); value == "." {
			w.ErrorPages = value
		}
	case "buildpack":
		s.Buildpack = value
		err = checkBuildpacks(value)
	case "build-dir":
		s.BuildDir, err = volume.CheckFolder("build-dir", value)
	default:
		const known = "branch, mode, prove, grace, sleep, protocol, max-body, error-pages, build-dir and buildpack"
		err = fmt.Errorf("no setting %q; there are %s", plain(key), known)
	}
	if err != nil {
		return wrong("settings", "%w", err)
	}
	return nil
}
