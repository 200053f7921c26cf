package command

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"paas/access"
	"paas/volume"
)

func configRows() []Row {
	return []Row{
		Verb[configInput, configAnswer]{
			Head: Head{
				Name: "config", Group: Config, Needs: access.View,
				Aliases: []string{"config:show"}, Example: "blog",
				Short: "show an app's config vars; on the server without APP, the server's own settings",
			},
			Run:  showConfig,
			Text: printConfig,
		},
		Verb[getConfigInput, configVar]{
			Head: Head{
				Name: "config:get", Group: Config, Needs: access.Deploy,
				Example: "blog DATABASE_URL",
				Short:   "show one config var's value",
			},
			Run:  getConfig,
			Text: func(p *Page, v configVar) { p.line("%s", v.Value) },
		},
		exportRow(),
		Stream[setConfigInput, Progress]{
			Head: Head{
				Name: "config:set", Group: Config, Needs: access.Deploy,
				Example: "blog COLOR=red SIZE=2",
				Short:   "set config vars: a new release of the same build",
			},
			Run:  setConfig,
			Text: printProgress,
		},
		Stream[unsetConfigInput, Progress]{
			Head: Head{
				Name: "config:unset", Group: Config, Needs: access.Deploy,
				Example: "blog COLOR SIZE",
				Short:   "remove config vars: a new release of the same build",
			},
			Run:  unsetConfig,
			Text: printProgress,
		},
	}
}

type configInput struct {
	App string `json:"app" arg:"[APP]"`
}

// configAnswer is an app's config vars, or the settings of the server.
type configAnswer struct {
	vars   map[string]*string // a value is nil for those who may not see it
	server []Setting
}

func (a configAnswer) inJSON() any {
	if a.server != nil {
		return a.server
	}
	return a.vars
}

func showConfig(c *Call, in configInput) (configAnswer, error) {
	if in.App == "" {
		if c.Settings == nil {
			return configAnswer{}, &Fault{Kind: Usage, Field: "app"}
		}
		settings, err := c.Settings()
		return configAnswer{server: settings}, err
	}
	app, err := c.App(in.App)
	if err != nil {
		return configAnswer{}, err
	}
	s, err := app.Settings()
	if err != nil {
		return configAnswer{}, err
	}
	if s.ConfigAfter > 0 {
		c.info("changes with --no-restart wait for the next release; ps:restart %s makes one", app.Name)
	}
	_, err = c.Rights.Admit(c.Caller.Identity, access.Deploy, app.Name)
	a := configAnswer{vars: map[string]*string{}}
	for key, value := range s.Config {
		if a.vars[key] = &value; err != nil {
			a.vars[key] = nil
		}
	}
	var denied *access.Denied
	if errors.As(err, &denied) {
		c.info("the values are for those who may deploy %s", app.Name)
		err = nil
	}
	return a, err
}

func printConfig(p *Page, a configAnswer) {
	if a.server != nil {
		list(p, a.server, "SETTING\tVALUE\tFROM\tMEANING", func(s Setting) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s %s", s.Key, orNone(s.Value), s.Source, s.Help, s.values())
		})
		return
	}
	for _, k := range slices.Sorted(maps.Keys(a.vars)) {
		if value := a.vars[k]; value != nil {
			p.line("%s=%s", k, *value)
		} else {
			p.line("%s", k)
		}
	}
}

// values tells a setting's unit and default.
func (s Setting) values() string {
	if s.Default == "" {
		return fmt.Sprintf("(%s)", s.Unit)
	}
	return fmt.Sprintf("(%s; default %s)", s.Unit, s.Default)
}

type getConfigInput struct {
	App string `json:"app" arg:"APP"`
	Key string `json:"key" arg:"KEY"`
}

type configVar struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func getConfig(c *Call, in getConfigInput) (configVar, error) {
	app, err := c.App(in.App)
	if err != nil {
		return configVar{}, err
	}
	s, err := app.Settings()
	if err != nil {
		return configVar{}, err
	}
	value, ok := s.Config[in.Key]
	if !ok {
		return configVar{}, noVar(app, in.Key)
	}
	return configVar{in.Key, value}, nil
}

func noVar(app volume.App, key string) error {
	err := fmt.Errorf("%s has no config var %s", app.Name, plain(key))
	return &Fault{Kind: NotFound, Field: "key", Err: err}
}

type setConfigInput struct {
	App       string            `json:"app" arg:"APP"`
	Vars      map[string]string `json:"vars" arg:"KEY=VALUE..."`
	Encoded   bool              `json:"encoded" flag:"encoded" help:"the values are base64"`
	NoRestart bool              `json:"no_restart" flag:"no-restart" help:"make no release now: the next one takes them"`
}

func setConfig(c *Call, in setConfigInput, events Teller[Progress]) error {
	vars := copyOf(in.Vars)
	for key, value := range vars {
		if !configKey.MatchString(key) { // it is not repeated: it may be a part of a secret
			return wrong("vars", "a KEY has letters, digits and _, and does not start with a digit")
		}
		if slices.Contains(reserved, key) {
			return wrong("vars", "%s is set by the server", key)
		}
		if in.Encoded {
			decoded, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return wrong("vars", "%s: with --encoded, a value is base64", key)
			}
			value = string(decoded)
			vars[key] = value
		}
		if strings.ContainsRune(value, 0) {
			return wrong("vars", "%s: a value cannot hold a NUL byte", key)
		}
		if !utf8.ValidString(value) { // the volume's JSON would change it
			return wrong("vars", "%s: a value is UTF-8 text; keep bytes as base64, and decode it in the app", key)
		}
	}
	note := "set " + strings.Join(slices.Sorted(maps.Keys(in.Vars)), ", ")
	change := func(_ volume.App, config map[string]string) error {
		maps.Copy(config, vars)
		sum := 0
		for k, v := range config {
			sum += len(k) + len(v) + 2
		}
		if sum > maxConfig {
			return conflict("", "the config vars would be %d bytes together; at most %d fit an environment",
				sum, maxConfig)
		}
		return nil
	}
	return c.changeConfig(in.App, note, in.NoRestart, progress{events}, change)
}

type unsetConfigInput struct {
	App       string   `json:"app" arg:"APP"`
	Keys      []string `json:"keys" arg:"KEY..."`
	NoRestart bool     `json:"no_restart" flag:"no-restart" help:"make no release now: the next one lacks them"`
}

func unsetConfig(c *Call, in unsetConfigInput, events Teller[Progress]) error {
	note := "unset " + strings.Join(in.Keys, ", ")
	change := func(app volume.App, config map[string]string) error {
		for _, k := range in.Keys {
			if _, ok := config[k]; !ok {
				return noVar(app, k)
			}
			delete(config, k)
		}
		return nil
	}
	return c.changeConfig(in.App, note, in.NoRestart, progress{events}, change)
}

// changeConfig makes a release of the live build with changed config vars. If it is to be later, or
// no release is live yet, it keeps them for the next one.
func (c *Call) changeConfig(
	name, note string, later bool, p progress, change func(volume.App, map[string]string) error,
) error {
	app, done, err := c.turn(name)
	if err != nil {
		return err
	}
	defer done()
	s, err := app.Settings()
	if err != nil {
		return err
	}
	changed := copyOf(s.Config)
	if err := change(app, changed); err != nil {
		return err
	}
	if maps.Equal(changed, s.Config) && (later || s.ConfigAfter == 0) {
		p.answer("nothing changes")
		return nil
	}
	live := app.Live()
	if err := serverRuns(app); err != nil {
		return err
	}
	if later || live == 0 {
		s.Config, s.ConfigAfter = changed, live
		if err := app.SetSettings(s); err != nil {
			return err
		}
		c.did(app.Name, note)
		if live == 0 {
			p.answer("%s; for the first release of %s", note, app.Name)
		} else {
			p.answer("%s; for the next release of %s, such as ps:restart makes", note, app.Name)
		}
		return nil
	}
	if err := c.DiskSpace.Check(c.Volume, 0, 0); err != nil {
		return err
	}
	base, err := app.Release(live)
	if err != nil {
		return err
	}
	base.Settings.Config, base.Of = changed, 0 // the other settings stay the build's
	return c.release(app, base, volume.CauseConfig, note, p)
}
