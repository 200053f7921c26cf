// Package config reads the server's settings for main: one plain struct, filled from flags, the
// environment, a file and the defaults, in that order of strength. It knows what a setting looks
// like and not what it is for.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"paas/nearest"
)

// Config is every setting of the server. The table in settings.go says what each is for, its unit
// and its default.
type Config struct {
	Root                          string
	SSHAddr                       string
	HTTPAddr                      string
	Domain                        string
	DefaultApp                    string
	PublicHTTPPort, PublicSSHPort string
	Mode                          string
	Keys                          string
	KeysFile                      string
	LogLevel                      string
	LogFile                       string
	Grace                         time.Duration
	Drain                         time.Duration
	Hold                          time.Duration
	BuildTimeout                  time.Duration
	BuildMemory                   int64
	MaxBuilds                     int // 0: one for two processors
	KeepBuilds                    int
	MinFree                       int64
	BootTimeout                   time.Duration
	Prove                         time.Duration
	MaxPush                       int64
	MaxFiles                      int
	MaxTree                       int64
	PassEnv                       []string
	Isolation                     string
	AppNet                        string
	FirstUID, LastUID             int
	AppRead, AppWrite             []string
	Source                        Source
	SidecarAddr                   string
	SidecarExec                   string
	SidecarCall                   string
	Notify                        bool
	Poll                          time.Duration
}

// Source is the one repository elsewhere that a server may be told to follow by its settings.
type Source struct {
	URL, App, Branch                   string
	Every                              time.Duration
	TokenFile, KeyFile, KnownHostsFile string
}

// prefix stands before a setting's name in the environment: PAAS_SSH_ADDR.
const prefix = "PAAS_"

// ours are variables of that prefix that are not settings: what processes of apps and hooks are
// told about themselves, and where the file is.
var ours = []string{"PAAS_CONFIG", "PAAS_APP", "PAAS_RELEASE", "PAAS_RUN", "PAAS_HOOK_SOCKET", "PAAS_HOOK_TOKEN",
	"PAAS_COMMIT", "PAAS_WATCH_CHANGED"}

// Flags adds a flag for each setting, and --config.
func Flags(flags *pflag.FlagSet) {
	flags.String("config", "", "settings file (default: paas.yaml in --root, if there)")
	for _, s := range settings {
		if slices.Contains(secrets, s.key) { // an argument list is for everybody on the machine to read
			continue
		}
		flags.String(s.key, "", s.help+" "+s.shown("", FromDefault).Values())
		flags.Lookup(s.key).DefValue = "" // the help text says it, with its unit
	}
}

// Source of a setting's value.
const (
	FromFlag    = "flag"
	FromEnv     = "environment"
	FromDefault = "default"
)

// Load reads the settings: flags (as [Flags] made them, parsed), then environ (KEY=VALUE, as of
// [os.Environ]), then the file, then the defaults. The error joins everything that is wrong, each
// on one line: misspelt names and bad values alike.
func Load(flags *pflag.FlagSet, environ []string) (*Config, []Setting, error) {
	v := viper.New()
	env := map[string]string{}
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(ours, name) {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-")
		if !known(key) {
			errs = append(errs, unknown("environment", name, environmentName(nearest.Word(key, keys()))))
			continue
		}
		env[key] = value
	}
	for _, s := range settings {
		v.SetDefault(s.key, s.def)
	}
	path, must := filePath(flags, env, environ)
	errs = append(errs, readFile(v, path, must)...)
	source := map[string]string{}
	for _, s := range settings {
		source[s.key] = FromDefault
		if v.InConfig(s.key) {
			source[s.key] = path
		}
		if value, ok := env[s.key]; ok {
			v.Set(s.key, value)
			source[s.key] = FromEnv
		}
		if f := flags.Lookup(s.key); f != nil && f.Changed {
			v.Set(s.key, f.Value.String())
			source[s.key] = FromFlag
		}
	}
	c := &Config{}
	var shown []Setting
	for _, s := range settings {
		value := v.GetString(s.key)
		if _, list := v.Get(s.key).([]any); list {
			value = strings.Join(v.GetStringSlice(s.key), ",")
		}
		err := s.set(c, value)
		if value != "" && slices.Contains(secrets, s.key) {
			value = "(not shown)"
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %q: %w", s.name(source[s.key]), source[s.key], value, err))
		}
		shown = append(shown, s.shown(value, source[s.key]))
	}
	return c, shown, errors.Join(errs...)
}

// filePath is the settings file, and whether it must be there.
func filePath(flags *pflag.FlagSet, env map[string]string, environ []string) (path string, must bool) {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true
	}
	for _, kv := range environ {
		if path, ok := strings.CutPrefix(kv, "PAAS_CONFIG="); ok && path != "" {
			return path, true
		}
	}
	root := env["root"]
	if f := flags.Lookup("root"); f != nil && f.Changed {
		root = f.Value.String()
	}
	if root == "" {
		root = defaultRoot
	}
	root, _ = expand(root)
	return filepath.Join(root, "paas.yaml"), false
}

// readFile merges the file at path into v and names the keys that no setting has.
func readFile(v *viper.Viper, path string, must bool) (errs []error) {
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	switch err := v.ReadInConfig(); {
	case errors.Is(err, fs.ErrNotExist) && !must:
		return nil
	case err != nil:
		return []error{fmt.Errorf("%s: %s", path, oneLine(err))}
	}
	file := viper.New()
	file.SetConfigFile(path)
	file.SetConfigType("yaml")
	if err := file.ReadInConfig(); err != nil {
		return []error{fmt.Errorf("%s: %s", path, oneLine(err))}
	}
	found := file.AllKeys()
	slices.Sort(found)
	for _, key := range found {
		if !known(key) {
			errs = append(errs, unknown(path, key, nearest.Word(key, keys())))
		}
	}
	return errs
}

func unknown(where, name, near string) error {
	if near == "" {
		return fmt.Errorf("%s (%s): no such setting; `paas config` lists them", name, where)
	}
	return fmt.Errorf("%s (%s): no such setting; did you mean %s?", name, where, near)
}

func environmentName(key string) string {
	if key == "" {
		return ""
	}
	return prefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// expand resolves a leading ~/ and makes the path absolute.
func expand(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		path = home + rest
	}
	return filepath.Abs(path)
}
