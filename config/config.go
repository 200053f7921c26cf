// Package config reads the server's settings for main: one plain struct, filled from flags, the
// environment, a file and the defaults; the first of them wins. It knows what a setting looks like
// and not what it is for.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"paas/nearest"
)

// Config holds every setting of the server. The table in settings.go gives the purpose, unit and
// default of each.
type Config struct {
	File                          string // the settings file, whether it exists or not
	Root                          string
	SSHAddr                       string
	HTTPAddr, HTTPSAddr           string
	PublicHTTPSPort               string
	ACME                          ACME
	DNSServer                     string
	AppAddr                       string // role front
	GitHTTPAddr                   string // roles git and front
	Domain                        string
	DefaultApp                    string
	PublicHTTPPort, PublicSSHPort string
	TrustedProxies                []netip.Prefix
	ProxyProtocol                 bool
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
	MaxBuilds                     int // 0: one per two processors
	KeepBuilds                    int
	MinFree                       int64
	BootTimeout                   time.Duration
	Prove                         time.Duration
	MaxPush                       int64
	MaxFiles                      int
	MaxTree                       int64
	PassEnv                       []string
	Toolchains                    string
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

// ACME says where certificates come from.
type ACME struct {
	Authorities                     []string // URLs of directories
	Email, KeysFile, Roots, DNSExec string
}

// Source is a remote repository that a server with one app follows.
type Source struct {
	URL, App, Branch, Tag, Commit      string
	Every                              time.Duration
	TokenFile, KeyFile, KnownHostsFile string
}

// prefix starts a setting's name in the environment: PAAS_SSH_ADDR.
const prefix = "PAAS_"

// notSettings have the prefix and are not settings: the settings file's path, and what hooks and
// the processes of apps are told about themselves.
var notSettings = []string{
	"PAAS_CONFIG", "PAAS_APP", "PAAS_RELEASE", "PAAS_RUN", "PAAS_HOOK_SOCKET", "PAAS_HOOK_TOKEN",
	"PAAS_COMMIT", "PAAS_WATCH_CHANGED",
}

// Flags adds --config and a flag for each setting. Settings that are secret get none: everybody on
// the machine can read a process's argument list.
func Flags(flags *pflag.FlagSet) {
	flags.String("config", "", "settings file (default: paas.yaml in --root, if it exists; for the "+
		"superuser without --root: "+systemFile+")")
	for _, s := range table(&Config{}) {
		if !slices.Contains(secrets, s.key) {
			flags.String(s.key, "", s.help+" "+s.shown("", FromDefault).Values())
		}
	}
}

// Where a setting's value comes from; otherwise from the file with that path.
const (
	FromFlag    = "flag"
	FromEnv     = "environment"
	FromDefault = "default"
)

// Load reads the settings from the flags (added by [Flags], and parsed), then environ (KEY=VALUE,
// as in [os.Environ]), then the file, then the defaults: the first that has a setting wins. The
// error joins all misspelt names and bad values, one on each line.
func Load(flags *pflag.FlagSet, environ []string) (*Config, []Setting, error) {
	known := keys()
	env, errs := environment(environ, known)
	path, required := filePath(flags, env, environ)
	file, fileErrs := readFile(path, required, known)
	errs = append(errs, fileErrs...)

	c := &Config{File: path}
	var shown []Setting
	for _, s := range table(c) {
		value, source := s.def, FromDefault
		if file.InConfig(s.key) {
			value, source = file.GetString(s.key), path
			if _, list := file.Get(s.key).([]any); list {
				value = strings.Join(file.GetStringSlice(s.key), ",")
			}
		}
		if fromEnv, ok := env[s.key]; ok {
			value, source = fromEnv, FromEnv
		}
		if f := flags.Lookup(s.key); f != nil && f.Changed {
			value, source = f.Value.String(), FromFlag
		}
		err := s.set(value)
		if value != "" && slices.Contains(secrets, s.key) {
			value = "(not shown)"
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %q: %w", s.name(source), source, value, err))
		}
		shown = append(shown, s.shown(value, source))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		errs = append(errs, errors.New("proxy-protocol: on needs trusted-proxies, the addresses that may use it"))
	}
	return c, shown, errors.Join(errs...)
}

// filePath returns the settings file's path, and whether the file must exist.
func filePath(flags *pflag.FlagSet, env map[string]string, environ []string) (path string,
	required bool) {
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
	if root == "" && os.Geteuid() == 0 {
		if _, err := os.Stat(systemFile); err == nil {
			return systemFile, true
		}
	}
	root, _ = expand(cmp.Or(root, defaultRoot))
	return filepath.Join(root, "paas.yaml"), false
}

// systemFile has the settings of the server that the machine's superuser runs. The Debian package
// brings it.
var systemFile = "/etc/paas/paas.yaml"

// environment returns the settings in environ, by key, and an error for each that is not known.
func environment(environ, known []string) (env map[string]string, errs []error) {
	env = map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(notSettings, name) {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-")
		if !slices.Contains(known, key) {
			near := environmentName(nearest.Word(key, known))
			errs = append(errs, unknown("environment", name, near))
			continue
		}
		env[key] = value
	}
	return env, errs
}

// readFile reads the file at path. There is an error for each key that is not known.
func readFile(path string, required bool, known []string) (file *viper.Viper, errs []error) {
	file = viper.New()
	file.SetConfigFile(path)
	file.SetConfigType("yaml")
	switch err := file.ReadInConfig(); {
	case errors.Is(err, fs.ErrNotExist) && !required:
		return file, nil
	case errors.As(err, new(viper.ConfigParseError)):
		content, _ := os.ReadFile(path) // it was read a moment ago
		return file, []error{fmt.Errorf("%s, line %d: this is no setting: write each once, as "+
			"`KEY: VALUE`, with spaces in place of tabs, and quote a value with \": \", \" #\" or a "+
			"special character at its start", path, badLine(string(content)))}
	case err != nil:
		return file, []error{fmt.Errorf("%s: %s", path, oneLine(err))}
	}
	for _, key := range slices.Sorted(slices.Values(file.AllKeys())) {
		if !slices.Contains(known, key) {
			errs = append(errs, unknown(path, key, nearest.Word(key, known)))
		}
	}
	return file, errs
}

// badLine returns the number of the first line with which a file cannot be read any more. The
// parser's own number may be of a line before or after it.
func badLine(content string) int {
	lines := strings.SplitAfter(content, "\n")
	for n := len(lines) - 1; n > 0; n-- {
		var settings map[string]any
		if yaml.Unmarshal([]byte(strings.Join(lines[:n], "")), &settings) == nil {
			return n + 1
		}
	}
	return 1
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
