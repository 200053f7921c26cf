package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"paas/builder"
	"paas/say"
	"paas/volume"
)

var configVerbs = []verb{
	{use: "config APP", short: "the config vars of an app; on the server without APP, the server's own settings", args: args(0, 1), flags: withFormat, run: showConfig},
	{use: "config:get APP KEY", short: "one config var's value", args: args(2, 2), run: getConfig},
	{use: "config:set APP KEY=VALUE...", short: "set config vars: a new release of the same build", args: args(2, -1), run: setConfig},
	{use: "config:unset APP KEY...", short: "remove config vars: a new release of the same build", args: args(2, -1), run: unsetConfig},
	{use: "settings APP", short: "the settings of an app", args: args(1, 1), run: showSettings},
	{use: "settings:set APP KEY=VALUE...", short: "branch, mode=release|watch, prove=5s, grace=10s, sleep=10m, build-dir=FOLDER, buildpack=URL", args: args(2, -1), run: setSettings},
}

// configKey is a config var's name: what a POSIX environment carries through every program
// (IEEE Std 1003.1, section 8.1), in either case.
var configKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// maxConfig bounds the sum of an app's config vars in bytes, as execve does with its environment.
const maxConfig = 64 << 10

// reserved are variables the runtime sets itself.
var reserved = []string{"PORT", "DATA_DIR", "PAAS_APP", "PAAS_RELEASE", "PAAS_RUN"}

// settings are those of the app that the first argument names.
func (c *call) settings() (app volume.App, s volume.Settings, err error) {
	if app, err = c.app(); err == nil {
		s, err = app.Settings()
	}
	return app, s, err
}

func showConfig(c *call) error {
	if len(c.args) == 0 {
		if c.remote {
			return usageError{errors.New("usage: " + c.cmd.UseLine())}
		}
		return showServerSettings(c)
	}
	_, s, err := c.settings()
	if err != nil {
		return err
	}
	return c.print(nonNil(s.Config), func() error {
		for _, k := range slices.Sorted(maps.Keys(s.Config)) {
			fmt.Fprintf(c.out, "%s=%s\n", k, s.Config[k])
		}
		return nil
	})
}

func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func getConfig(c *call) error {
	app, s, err := c.settings()
	if err != nil {
		return err
	}
	value, ok := s.Config[c.args[1]]
	if !ok {
		return fmt.Errorf("%s has no config var %s", app.Name, plain(c.args[1]))
	}
	fmt.Fprintln(c.out, value)
	return nil
}

func setConfig(c *call) error {
	values := map[string]string{}
	for _, pair := range c.args[1:] {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || !configKey.MatchString(key) { // the pair may hold a secret: it is not repeated
			return usageError{errors.New("config:set takes KEY=VALUE, KEY of letters, digits and _; usage: " + c.cmd.UseLine())}
		}
		if slices.Contains(reserved, key) {
			return usageError{fmt.Errorf("%s is set by the server itself", key)}
		}
		if strings.ContainsRune(value, 0) {
			return usageError{fmt.Errorf("%s: a value cannot hold a NUL byte", key)}
		}
		values[key] = value
	}
	return c.changeConfig("set", slices.Sorted(maps.Keys(values)), func(config map[string]string) error {
		maps.Copy(config, values)
		sum := 0
		for k, v := range config {
			sum += len(k) + len(v) + 2
		}
		if sum > maxConfig {
			return fmt.Errorf("the config vars would be %d bytes together; at most %d fit an environment", sum, maxConfig)
		}
		return nil
	})
}

func unsetConfig(c *call) error {
	keys := c.args[1:]
	return c.changeConfig("unset", keys, func(config map[string]string) error {
		for _, k := range keys {
			if _, ok := config[k]; !ok {
				return fmt.Errorf("%s has no config var %s", c.args[0], plain(k))
			}
			delete(config, k)
		}
		return nil
	})
}

// changeConfig makes a release of the live build with changed config vars, or, where nothing is
// live yet, keeps them for the first one.
func (c *call) changeConfig(what string, keys []string, change func(map[string]string) error) error {
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	s, err := app.Settings()
	if err != nil {
		return err
	}
	changed := maps.Clone(nonNil(s.Config))
	if err := change(changed); err != nil {
		return err
	}
	note := what + " " + strings.Join(keys, ", ")
	if maps.Equal(changed, s.Config) {
		fmt.Fprintln(c.out, "nothing changes")
		return nil
	}
	if app.Live() == 0 {
		s.Config = changed
		if err := app.SetSettings(s); err != nil {
			return err
		}
		c.record("config:"+what, app.Name, note)
		fmt.Fprintf(c.out, "%s; for the first release of %s\n", note, app.Name)
		return nil
	}
	if err := notInPlace(app); err != nil {
		return err
	}
	if err := c.room().For(c.vol, 0, 0); err != nil {
		return err
	}
	base, err := app.Release(app.Live())
	if err != nil {
		return err
	}
	base.Settings.Config, base.Of = changed, 0 // the other settings are those of the build, not of the next push
	return c.release(app, base, volume.CauseConfig, note)
}

func showSettings(c *call) error {
	app, s, err := c.settings()
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err == nil {
		c.printSettings(s, w)
	}
	return err
}

func (c *call) printSettings(s volume.Settings, w volume.Wanted) {
	prove := c.config.Prove
	if w.Prove != nil {
		prove = *w.Prove
	}
	fmt.Fprintf(c.out, "branch=%s\nmode=%s\nprove=%s\ngrace=%s\nsleep=%s\nbuild-dir=%s\nbuildpack=%s\n",
		s.Branch, cmp.Or(s.Mode, volume.Mode(c.config.Mode)), prove, cmp.Or(w.Grace, c.config.Grace), sleepSetting(w.Sleep), s.BuildDir, s.Buildpack)
}

// branchName is what git accepts as a branch and a person can type (git-check-ref-format(1)).
var branchName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// checkBranch says what is wrong with a branch's name.
func checkBranch(name string) error {
	switch {
	case !branchName.MatchString(name), strings.Contains(name, ".."), strings.Contains(name+"/", "./"),
		strings.Contains(name+"/", ".lock/"), name == "HEAD", len(name) > 200:
		return usageError{fmt.Errorf("%q is not a branch name", plain(name))}
	case strings.HasPrefix(name, "refs/"), strings.HasPrefix(name, "heads/"):
		return usageError{fmt.Errorf("%q: name the branch alone, such as main", plain(name))}
	}
	return nil
}

func setSettings(c *call) error {
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	s, err := app.Settings()
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	before, was := s, w
	for _, pair := range c.args[1:] {
		if err := c.mayName(pair); err != nil {
			return err
		}
		if err := change(&s, &w, pair); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, c.cmd.UseLine())}
		}
	}
	if w.Sleep != was.Sleep && w.Sleep > 0 {
		if err := c.maySleep(app, s, w); err != nil {
			return err
		}
	}
	if !reflect.DeepEqual(s, before) {
		err = app.SetSettings(s)
	}
	if err == nil && !reflect.DeepEqual(w, was) {
		err = app.SetWanted(w)
	}
	if err != nil {
		return err
	}
	done()
	c.awaitBranch(app)
	c.record("settings:set", app.Name, strings.Join(c.args[1:], " "))
	if live, err := app.Release(app.Live()); err == nil && live.Settings.InPlace("") != s.InPlace(volume.Mode(c.config.Mode)) {
		say.Detail(c.err, "the mode takes effect at the next push")
	} else if err == nil && live.Settings.BuildDir != s.BuildDir {
		say.Detail(c.err, "the build-dir takes effect at the next push")
	} else if err == nil && live.Settings.Buildpack != s.Buildpack {
		say.Detail(c.err, "the buildpack takes effect at the next push")
	}
	c.printSettings(s, w)
	return nil
}

// mayName refuses folders of the server where the caller has no business with them.
func (c *call) mayName(pair string) error {
	value, ok := strings.CutPrefix(pair, "buildpack=")
	if !ok || !c.remote || c.admin {
		return nil
	}
	packs, _ := builder.ParseBuildpacks(value)
	if slices.ContainsFunc(packs, builder.Buildpack.OnServer) {
		return fmt.Errorf("a buildpack that is a folder of the server is for admins to set; %s is not one; "+
			"name its URL, or a folder of the repository such as ./buildpack", c.name)
	}
	return nil
}

// checkBuildpacks says what is wrong with the names of buildpacks.
func checkBuildpacks(words string) error {
	packs, err := builder.ParseBuildpacks(words)
	if err != nil {
		return err
	}
	for _, p := range packs {
		if p.URL != "" {
			err = checkBuildpack(p.URL)
		}
		if p.OnServer() {
			_, err = os.Stat(p.Folder)
		}
		if err == nil && p.Branch != "" {
			err = checkBranch(p.Branch)
		}
		if err != nil {
			return fmt.Errorf("buildpack %s: %w", plain(p.String()), err)
		}
	}
	return nil
}

// maxGrace is as long as anybody waits for a process to stop.
const maxGrace = time.Hour

// maxProve is as long as anybody watches a new release.
const maxProve = time.Hour

// change sets what pair says, such as branch=main; an empty value is the default again.
func change(s *volume.Settings, w *volume.Wanted, pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	switch {
	case ok && key == "branch":
		s.Branch = value
		if value != "" {
			return checkBranch(value)
		}
	case ok && key == "mode":
		s.Mode = volume.Mode(value)
		if !slices.Contains([]volume.Mode{"", volume.ByRelease, volume.InPlace}, s.Mode) {
			return fmt.Errorf("a mode is %s or %s, not %q", volume.ByRelease, volume.InPlace, plain(value))
		}
	case ok && key == "grace":
		w.Grace = 0
		if value == "" {
			return nil
		}
		grace, err := time.ParseDuration(value)
		if err != nil || grace <= 0 || grace > maxGrace {
			return fmt.Errorf("a grace is a time such as 30s or 2m, at most 1h, not %q", plain(value))
		}
		w.Grace = grace
	case ok && key == "prove":
		w.Prove = nil
		if value == "" {
			return nil
		}
		prove, err := time.ParseDuration(value)
		if err != nil || prove < 0 || prove > maxProve {
			return fmt.Errorf("prove is a time such as 10s, at most 1h, or 0, not %q", plain(value))
		}
		w.Prove = &prove
	case ok && key == "sleep":
		var err error
		w.Sleep, err = parseSleep(cmp.Or(value, "off"))
		return err
	case ok && key == "buildpack":
		s.Buildpack = value
		return checkBuildpacks(value)
	case ok && key == "build-dir":
		var err error
		s.BuildDir, err = volume.CheckBuildDir(value)
		return err
	default:
		return fmt.Errorf("no setting %q; there are branch, mode, prove, grace, sleep, build-dir and buildpack", plain(pair))
	}
	return nil
}
