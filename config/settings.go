package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one setting as people are shown it.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Source  string `json:"source"` // flag, environment, a file's path, or default
	Default string `json:"default"`
	Unit    string `json:"unit"`
	Help    string `json:"help"`
}

// setting is one row of the table: how it is called, what it means, how text becomes its value.
type setting struct {
	key, def, unit, help string
	set                  func(*Config, string) error
}

const defaultRoot = "~/.paas"

var settings = []setting{
	{"root", defaultRoot, "path", "the volume: repositories, builds, releases, keys",
		func(c *Config, s string) (err error) { c.Root, err = path(s); return err }},
	{"ssh-addr", ":2222", "host:port", "where git and ssh connect",
		func(c *Config, s string) error { c.SSHAddr = s; return address(s) }},
	{"http-addr", ":8080", "host:port", "where visitors of the apps connect",
		func(c *Config, s string) error { c.HTTPAddr = s; return address(s) }},
	{"domain", "localhost", "host name", "an app answers at <app>.<domain>",
		func(c *Config, s string) error { c.Domain = s; return domain(s) }},
	{"default-app", "", "app", "the app that answers at the domain itself",
		func(c *Config, s string) error {
			c.DefaultApp = s
			return optional(s, appName, "an app's name, such as blog")
		}},
	{"public-http-port", "", "port", "the port visitors type, where it is not that of http-addr: a container's published one",
		func(c *Config, s string) error {
			c.PublicHTTPPort = s
			return optional(s, portNumber, "a port, 1 to 65535")
		}},
	{"public-ssh-port", "", "port", "the port git and ssh are given, where it is not that of ssh-addr",
		func(c *Config, s string) error {
			c.PublicSSHPort = s
			return optional(s, portNumber, "a port, 1 to 65535")
		}},
	{"mode", "release", "release or watch", "how a commit goes live: built and switched to, or written in place for a watcher to see",
		func(c *Config, s string) error { c.Mode = s; return oneOf(s, "release", "watch") }},
	{"keys", "", "authorized_keys lines", "public keys that may enter, added at start; the first key of all is an admin",
		func(c *Config, s string) error { c.Keys = s; return nil }},
	{"keys-file", "", "path", "a file of such keys",
		func(c *Config, s string) (err error) { c.KeysFile, err = optionalPath(s); return err }},
	{"log-level", "info", "debug, info, warn or error", "what the server's own log says",
		func(c *Config, s string) error { c.LogLevel = s; return new(slog.LevelVar).UnmarshalText([]byte(s)) }},
	{"log-file", "", "path", "a file for the server's own log, in place of standard error; at 10 MiB it is renamed to end in .1",
		func(c *Config, s string) (err error) { c.LogFile, err = optionalPath(s); return err }},
	{"grace", "10s", "duration, 1ms to 10m", "how long a process may take to end after SIGTERM, before SIGKILL",
		func(c *Config, s string) (err error) {
			c.Grace, err = duration(s, time.Millisecond, 10*time.Minute)
			return err
		}},
	{"drain", "30s", "duration, 1ms to 1h", "how long requests in flight on the old version may take to end",
		func(c *Config, s string) (err error) {
			c.Drain, err = duration(s, time.Millisecond, time.Hour)
			return err
		}},
	{"hold", "15s", "duration, 1ms to 5m", "how long a request waits for an app that is starting",
		func(c *Config, s string) (err error) {
			c.Hold, err = duration(s, time.Millisecond, 5*time.Minute)
			return err
		}},
	{"build-timeout", "15m", "duration, 1s to 24h", "how long one build may take",
		func(c *Config, s string) (err error) {
			c.BuildTimeout, err = duration(s, time.Second, 24*time.Hour)
			return err
		}},
	{"build-memory", "0", "bytes, 1KiB to 1TiB, or 0: no cap", "how much memory one build may use",
		func(c *Config, s string) (err error) { c.BuildMemory, err = sizeOrNone(s); return err }},
	{"max-builds", "0", "builds, or 0: one for two processors, at least 1", "how many builds run at once; the others wait in order",
		func(c *Config, s string) (err error) { c.MaxBuilds, err = numberOrNone(s); return err }},
	{"keep-builds", "5", "builds, at least 1", "how many builds of an app are kept to go back to, the live one among them",
		func(c *Config, s string) (err error) { c.KeepBuilds, err = number(s); return err }},
	{"min-free", "256MiB", "bytes, 1KiB to 1TiB, or 0: never", "a deploy is refused while the disk has less free than this, or than three times its files",
		func(c *Config, s string) (err error) { c.MinFree, err = sizeOrNone(s); return err }},
	{"boot-timeout", "1m", "duration, 100ms to 1h", "how long an app may take to listen on its port",
		func(c *Config, s string) (err error) {
			c.BootTimeout, err = duration(s, time.Second/10, time.Hour)
			return err
		}},
	{"prove", "5s", "duration, up to 1h; 0: not at all", "how long a new release with the traffic is watched before the branch moves",
		func(c *Config, s string) (err error) {
			c.Prove, err = duration(s, 0, time.Hour)
			return err
		}},
	{"max-push", "512MiB", "bytes, 1KiB to 1TiB", "largest pack that one push may send",
		func(c *Config, s string) (err error) { c.MaxPush, err = size(s); return err }},
	{"max-files", "200000", "files, at least 1", "most files one commit may hold",
		func(c *Config, s string) (err error) { c.MaxFiles, err = number(s); return err }},
	{"max-tree", "2GiB", "bytes, 1KiB to 1TiB", "largest sum of all files of one commit",
		func(c *Config, s string) (err error) { c.MaxTree, err = size(s); return err }},
	{"pass-env", "", "names, comma between", "variables of the server's own environment that builds and apps may see",
		func(c *Config, s string) (err error) { c.PassEnv, err = names(s); return err }},
	{"isolation", "auto", "auto, required or off", "whether apps are kept apart: as far as can be; else the server does not start; not at all",
		func(c *Config, s string) error { c.Isolation = s; return oneOf(s, "auto", "required", "off") }},
	{"app-net", "closed", "closed or open", "whether apps are kept from each other's ports and the cloud's metadata, where the server is root and has nftables",
		func(c *Config, s string) error { c.AppNet = s; return oneOf(s, "closed", "open") }},
	{"uids", "70000-89999", "range of user ids", "what apps are given to run as, one each, where the server is root",
		func(c *Config, s string) (err error) { c.FirstUID, c.LastUID, err = uids(s); return err }},
	{"app-read", "", "paths, comma between", "folders that apps may read, besides what any user of the machine may",
		func(c *Config, s string) (err error) { c.AppRead, err = paths(s); return err }},
	{"app-write", "", "paths, comma between", "folders that apps may write to, besides their own",
		func(c *Config, s string) (err error) { c.AppWrite, err = paths(s); return err }},
	{"source-url", "", "URL", "a repository elsewhere to follow, for a server of one app",
		func(c *Config, s string) error { c.Source.URL = s; return nil }},
	{"source-app", "app", "app", "the app that source-url feeds",
		func(c *Config, s string) error {
			c.Source.App = s
			return optional(s, appName, "an app's name, such as blog")
		}},
	{"source-branch", "", "branch", "the branch of source-url to follow; empty: its default branch",
		func(c *Config, s string) error { c.Source.Branch = s; return nil }},
	{"source-every", "10s", "duration, 1s to 24h", "how often source-url is looked at",
		func(c *Config, s string) (err error) {
			c.Source.Every, err = duration(s, time.Second, 24*time.Hour)
			return err
		}},
	{"source-token-file", "", "path", "a file with the password or access token for source-url",
		func(c *Config, s string) (err error) { c.Source.TokenFile, err = optionalPath(s); return err }},
	{"source-key-file", "", "path", "a file with the private SSH key for source-url",
		func(c *Config, s string) (err error) { c.Source.KeyFile, err = optionalPath(s); return err }},
	{"source-known-hosts-file", "", "path", "a known_hosts file with the key of source-url's host",
		func(c *Config, s string) (err error) { c.Source.KnownHostsFile, err = optionalPath(s); return err }},
	{"sidecar-addr", "", "host:port", "where the sidecar answers webhooks, /healthz and /metrics; empty: nowhere",
		func(c *Config, s string) error { c.SidecarAddr = s; return optionalAddress(s) }},
	{"sidecar-exec", "", "path", "a program that the sidecar runs after each new version",
		func(c *Config, s string) (err error) { c.SidecarExec, err = optionalPath(s); return err }},
	{"sidecar-call", "", "URL", "what the sidecar POSTs to after each new version",
		func(c *Config, s string) error {
			c.SidecarCall = s
			return optional(s, webURL, "an http:// or https:// URL")
		}},
	{"notify", "true", "true or false", "whether the system is asked to report changes of the volume; the poll goes on either way",
		func(c *Config, s string) error { c.Notify = s == "true"; return oneOf(s, "true", "false") }},
	{"poll", "1s", "duration, 10ms to 1m", "how often the volume is looked at without notifications; a fifth as often with them",
		func(c *Config, s string) (err error) {
			c.Poll, err = duration(s, 10*time.Millisecond, time.Minute)
			return err
		}},
}

// secrets are settings whose values are not for others to see: such a URL may be as good as a password.
var secrets = []string{"sidecar-call"}

// Values is the setting's unit and default, for help texts.
func (s Setting) Values() string {
	if s.Default == "" {
		return fmt.Sprintf("(%s)", s.Unit)
	}
	return fmt.Sprintf("(%s; default %s)", s.Unit, s.Default)
}

// shown is the setting with its value, for people.
func (s setting) shown(value, source string) Setting {
	return Setting{Key: s.key, Value: value, Source: source, Default: s.def, Unit: s.unit, Help: s.help}
}

// name is what the setting is called where its value comes from.
func (s setting) name(source string) string {
	switch source {
	case FromFlag:
		return "--" + s.key
	case FromEnv:
		return environmentName(s.key)
	}
	return s.key
}

func known(key string) bool { return slices.Contains(keys(), key) }

// keys are the names of all settings.
func keys() (list []string) {
	for _, s := range settings {
		list = append(list, s.key)
	}
	return list
}

func path(s string) (string, error) {
	if s == "" {
		return "", errors.New("a path is needed")
	}
	return expand(s)
}

func address(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && n >= 0 && n <= 65535 {
			return nil
		}
	}
	return errors.New("want host:port or :port, port 0 to 65535, such as :8080")
}

// hostName is a host name of letters, digits and hyphens (RFC 1123, section 2.1), lower case.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func domain(s string) error {
	if len(s) > 220 || !hostName.MatchString(s) { // an app's name still goes in front
		return errors.New("want a host name in lower case, such as apps.example.com")
	}
	return nil
}

func duration(s string, low, high time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < low || d > high {
		return 0, fmt.Errorf("want a duration from %v to %v, such as 500ms, 10s or 2m", low, high)
	}
	return d, nil
}

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, errors.New("want a whole number, at least 1")
	}
	return n, nil
}

func numberOrNone(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, errors.New("want a whole number, at least 0")
	}
	return n, nil
}

// size reads a number of bytes: 1048576, 1024KiB, 1MiB, 1.5GiB; decimal units too: 1MB.
func size(s string) (int64, error) {
	units := []struct {
		name string
		by   float64
	}{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1},
	}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err == nil && n*unit.by >= 1<<10 && n*unit.by <= 1<<40 {
			return int64(n * unit.by), nil
		}
		break
	}
	return 0, errors.New("want a size from 1KiB to 1TiB, such as 512MiB or 2GiB")
}

// sizeOrNone is size, and 0 for no such limit.
func sizeOrNone(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	n, err := size(s)
	if err != nil {
		err = errors.New("want a size from 1KiB to 1TiB, such as 512MiB or 2GiB, or 0")
	}
	return n, err
}

// appName is what package volume takes as an app's name.
var appName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`)

var portNumber = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)

var webURL = regexp.MustCompile(`^https?://[^\s/]+(/\S*)?$`)

func optional(s string, pattern *regexp.Regexp, want string) error {
	if s != "" && !pattern.MatchString(s) {
		return errors.New("want " + want)
	}
	return nil
}

func oneOf(s string, words ...string) error {
	if !slices.Contains(words, s) {
		return errors.New("want " + strings.Join(words, " or "))
	}
	return nil
}

func optionalPath(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return path(s)
}

func optionalAddress(s string) error {
	if s == "" {
		return nil
	}
	return address(s)
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func paths(s string) (list []string, err error) {
	for one := range strings.SplitSeq(s, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if one, err = expand(one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// uids is a range of user ids such as 70000-89999. Those below 1000 are the system's, and 65534 nobody's.
func uids(s string) (first, last int, err error) {
	from, to, _ := strings.Cut(s, "-")
	if first, err = strconv.Atoi(from); err == nil {
		last, err = strconv.Atoi(to)
	}
	switch {
	case err != nil:
		return 0, 0, errors.New("want a range, such as 70000-89999")
	case first < 1000 || last < first || last > 1<<31-1:
		return 0, 0, errors.New("want a range from 1000 up, the smaller number first")
	case first <= 65534 && 65534 <= last:
		return 0, 0, errors.New("65534 is nobody's: choose a range without it")
	}
	return first, last, nil
}

func names(s string) (list []string, err error) {
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !variable.MatchString(name):
			return nil, fmt.Errorf("%q is not a variable's name", name)
		case strings.HasPrefix(name, prefix):
			return nil, fmt.Errorf("%s is the server's own", name)
		default:
			list = append(list, name)
		}
	}
	return list, nil
}
