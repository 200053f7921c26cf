package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"paas/access"
	"paas/command"
	"paas/config"
	"paas/setup"
	"paas/terminal"
	"paas/volume"
)

// setupRow is paas setup, the first step on a new server. flags are the settings.
func setupRow(flags *pflag.FlagSet) command.Row {
	return command.Verb[setupInput, setupResult]{
		Head: command.Head{
			Name: "setup", Group: command.Operate, Needs: access.Anyone,
			Example: "--domain apps.example.com --acme-email me@example.com --key ~/.ssh/id_ed25519.pub",
			Short:   "set up this server: its domain, where an authority can reach you, and your key",
			More: "It asks at a terminal, and otherwise takes the answers from flags. Settings that are given as flags are\n" +
				"written into the settings file, and the server is started if systemd has a unit for it. Running it again\n" +
				"is harmless: it changes only what you answer differently.",
		},
		Run: func(c *command.Call, in setupInput) (setupResult, error) {
			s := &settingUp{Call: c, flags: flags}
			return s.run(in)
		},
		Text: func(p *command.Page, r setupResult) {
			for _, key := range r.Keys {
				fmt.Fprintf(p, "-----> added %s's key %s\n", key.Name, key.Fingerprint)
			}
			if r.Changed {
				fmt.Fprintf(p, "-----> wrote %s\n", r.Settings)
			} else {
				fmt.Fprintf(p, "-----> %s stays as it is\n", r.Settings)
			}
			if r.Running {
				fmt.Fprintln(p, "-----> the server runs")
			} else {
				fmt.Fprintln(p, "-----> start the server: paas serve")
			}
			fmt.Fprintf(p, "       In a repository with an app, on your machine:\n\n")
			fmt.Fprintf(p, "    git remote add paas %s\n    git push paas main\n\n", r.Git)
			fmt.Fprintf(p, "       Then the app is at %s\n", r.URL)
		},
	}
}

type setupInput struct {
	Key string `json:"key" flag:"key" value:"FILE" help:"a file with your public key, or the key itself; it becomes an admin's"`
}

type setupResult struct {
	Settings string       `json:"settings"` // the file
	Changed  bool         `json:"changed"`
	Keys     []access.Key `json:"keys,omitempty"` // that were added
	Running  bool         `json:"running"`
	Git      string       `json:"git"` // an app's remote
	URL      string       `json:"url"` // of that app
}

// settingUp is one run of paas setup.
type settingUp struct {
	*command.Call
	flags    *pflag.FlagSet
	settings map[string]config.Setting
	person   *setup.Person // nil: nobody answers
}

func (s *settingUp) run(in setupInput) (r setupResult, err error) {
	now, all, err := config.Load(s.flags, os.Environ())
	if err != nil {
		return r, err
	}
	s.settings = map[string]config.Setting{}
	for _, setting := range all {
		s.settings[setting.Key] = setting
	}
	if file, ok := s.Stdin.(*os.File); ok && terminal.Is(file) {
		s.person = &setup.Person{In: bufio.NewReader(file), Out: s.Stderr}
	}
	values, err := s.answers()
	if err != nil {
		return r, unanswered(err)
	}
	p := newPaas(now)
	if err := p.vol.Open(); err != nil {
		return r, err
	}
	defer p.vol.Close()
	keys, err := s.chooseKeys(p, in.Key)
	if err != nil {
		return r, unanswered(err)
	}
	r.Settings = now.File
	if r.Changed, err = config.Change(now.File, values...); err != nil {
		return r, err
	}
	for _, key := range keys {
		added, err := p.keys.Add(key.Line, access.Adding{Role: access.Admin})
		if err != nil {
			return r, err
		}
		r.Keys = append(r.Keys, added...)
	}
	if now, _, err = config.Load(s.flags, os.Environ()); err != nil {
		return r, err
	}
	p = newPaas(now)
	if r.Running, err = s.start(p, r.Changed); err != nil {
		return r, err
	}
	r.Git = "ssh://paas@" + p.addresses.Git() + "/hello"
	r.URL = p.addresses.App("hello")
	if now.HTTPSAddr != "" && isPublic(now.Domain) { // as soon as it has a certificate
		r.URL = "https://" + strings.TrimPrefix(strings.TrimPrefix(r.URL, "http://"), "https://")
	}
	return r, nil
}

// unanswered explains the end of the input.
func unanswered(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("there was no answer; nothing has been changed")
	}
	return err
}

// answers returns the settings to write: those that were given as flags, and the answers.
func (s *settingUp) answers() (values []config.Value, err error) {
	for _, key := range slices.Sorted(maps.Keys(s.settings)) {
		if s.settings[key].Source == config.FromFlag && key != "root" {
			values = append(values, config.Value{Key: key, Value: s.settings[key].Value})
		}
	}
	domain := s.settings["domain"]
	if domain.Source != config.FromFlag {
		if domain.Value, err = s.askDomain(domain); err != nil {
			return nil, err
		}
		values = append(values, config.Value{Key: "domain", Value: domain.Value})
	}
	if !isPublic(domain.Value) {
		return values, nil
	}
	email := s.settings["acme-email"]
	if email.Source != config.FromFlag && s.person != nil {
		const question = "Your e-mail address, for the certificate authority (may be empty)"
		email.Value, err = s.person.Ask(s, question, email.Value, func(answer string) error {
			return config.Check(config.Value{Key: "acme-email", Value: answer})
		})
		if err != nil {
			return nil, err
		}
		if email.Value != "" {
			values = append(values, config.Value{Key: "acme-email", Value: email.Value})
		}
	}
	for _, door := range []config.Value{{Key: "http-addr", Value: ":80"}, {Key: "https-addr", Value: ":443"}} {
		if s.settings[door.Key].Source == config.FromDefault && mayListen(80) {
			values = append(values, door)
		}
	}
	return values, nil
}

func (s *settingUp) askDomain(domain config.Setting) (string, error) {
	suggestion := domain.Value
	if domain.Source == config.FromDefault {
		if suggestion, _ = os.Hostname(); !strings.Contains(suggestion, ".") {
			suggestion = ""
		}
	}
	if s.person == nil {
		if domain.Source == config.FromDefault {
			return "", &command.Fault{
				Kind: command.Usage, Err: errors.New("setup needs a domain, below which the apps have their names"),
				Next: "give it: --domain apps.example.com (or localhost, for this machine alone)",
			}
		}
		return domain.Value, nil
	}
	const question = "Domain; an app called blog is then at blog.DOMAIN"
	return s.person.Ask(s, question, suggestion, func(answer string) error {
		return config.Check(config.Value{Key: "domain", Value: answer})
	})
}

// mayListen reports whether this user may listen on the port.
func mayListen(port int) bool {
	if os.Geteuid() == 0 {
		return true
	}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	first := 1024
	if err == nil {
		fmt.Sscan(string(text), &first)
	}
	return port >= first
}

// chooseKeys returns the keys to add; none if nobody asks for one and the server has some.
func (s *settingUp) chooseKeys(p *paas, given string) ([]setup.Key, error) {
	if given != "" {
		keys, err := setup.Choose(expandHome(given), nil)
		if err != nil {
			return nil, &command.Fault{Kind: command.Usage, Field: "key", Err: fmt.Errorf("--key: %w", err)}
		}
		return keys, nil
	}
	there, err := p.keys.List()
	if err != nil || len(there) > 0 {
		return nil, err
	}
	found := setup.Keys(homes()...)
	if s.person == nil && len(found) == 1 {
		return found, nil
	}
	if s.person == nil {
		err := errors.New("the server has no key yet, so nobody could push")
		if len(found) > 1 {
			err = fmt.Errorf("%w, and %d keys were found", err, len(found))
		}
		return nil, &command.Fault{Kind: command.Usage, Err: err, Next: "give yours: --key ~/.ssh/id_ed25519.pub"}
	}
	suggestion := ""
	for i, key := range found {
		fmt.Fprintf(s.Stderr, "  %d  %s (%s)\n", i+1, key, key.File)
		suggestion = "1"
	}
	var keys []setup.Key
	_, err = s.person.Ask(s, "Your public key: a number, a file or the key itself", suggestion, func(answer string) (err error) {
		keys, err = setup.Choose(expandHome(answer), found)
		return err
	})
	return keys, err
}

// homes returns the homes of the person at the terminal: of the one who called sudo, and our own.
func homes() (list []string) {
	if u, err := user.Lookup(os.Getenv("SUDO_USER")); err == nil {
		list = append(list, u.HomeDir)
	}
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, home)
	}
	return list
}

func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if all := homes(); ok && len(all) > 0 {
		return filepath.Join(all[0], rest)
	}
	return path
}

// start starts the server by systemd, if a unit is there that reads this settings file, and waits
// until it serves. running is false if there is none and the server does not run.
func (s *settingUp) start(p *paas, changed bool) (running bool, err error) {
	serves := func() bool {
		return p.healthy(s, volume.RoleGit) == nil && p.healthy(s, volume.RoleApp) == nil
	}
	own := os.Getenv("PAAS_ROOT") == "" && os.Getenv("PAAS_CONFIG") == "" &&
		!s.flags.Changed("root") && !s.flags.Changed("config")
	service, ok := setup.Service{}, false
	if own {
		service, ok = setup.FindService(s, "paas.service", os.Geteuid() != 0)
	}
	if !ok || !service.Active(s) && p.vol.Claimed(volume.RoleApp) {
		if serves() && changed {
			fmt.Fprintln(s.Stderr, " !     paas reload lets the server read its new settings")
		}
		return serves(), nil
	}
	if err := service.Start(s, changed); err != nil {
		return false, &command.Fault{Kind: command.Failed, Err: err, Next: "see why: " + service.Log()}
	}
	for range 60 {
		if serves() {
			return true, nil
		}
		select {
		case <-s.Done():
			return false, s.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return false, &command.Fault{
		Kind: command.Failed, Err: errors.New("the server does not answer within 30 s"), Next: "see why: " + service.Log(),
	}
}
