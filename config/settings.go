package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/volume"
)

// Setting is a setting with its value, as people see it.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Source  string `json:"source"` // flag, environment, a file's path, or default
	Default string `json:"default"`
	Unit    string `json:"unit"`
	Help    string `json:"help"`
}

// setting is one row of the table.
type setting struct {
	key, def, unit, help string
	set                  func(value string) error // checks value and stores it in the Config
}

const defaultRoot = "~/.paas"

// table lists every setting. Setting one changes c.
func table(c *Config) []setting {
	const second, minute, hour = time.Second, time.Minute, time.Hour
	return []setting{
		{"root", defaultRoot, "path",
			"folder for everything the server keeps: repositories, builds, releases, keys",
			parsed(&c.Root, path)},
		{"ssh-addr", ":2222", "host:port", "address for git and ssh", checked(&c.SSHAddr, address)},
		{"http-addr", ":8080", "host:port", "address for visitors of the apps",
			checked(&c.HTTPAddr, address)},
		{"app-addr", "", "host:port",
			"for serve front: http-addr of the role app, as the front reaches it; empty: on this machine",
			checked(&c.AppAddr, optional(address))},
		{"git-http-addr", "", "host:port",
			"where the role git answers serve front, which passes on pushes over HTTP; empty: nowhere",
			checked(&c.GitHTTPAddr, optional(address))},
		{"trusted-proxies", "", "addresses and ranges, separated by commas",
			"proxies in front of http-addr: what they say about the client in X-Forwarded-* is believed",
			parsed(&c.TrustedProxies, ranges)},
		{"proxy-protocol", "off", "on or off",
			"on: trusted-proxies begin each connection with the PROXY protocol, version 1 or 2",
			parsed(&c.ProxyProtocol, func(s string) (bool, error) {
				return s == "on", oneOf("on", "off")(s)
			})},
		{"https-addr", "", "host:port",
			"address for visitors by HTTPS, such as :443; empty: none, and no certificates",
			checked(&c.HTTPSAddr, optional(address))},
		{"acme-ca", "https://acme-v02.api.letsencrypt.org/directory", "URLs, separated by commas",
			"ACME directories of certificate authorities; if one fails, the next is asked",
			parsed(&c.ACME.Authorities, webURLs)},
		{"acme-email", "", "address", "where the authorities can reach you; optional",
			checked(&c.ACME.Email, optional(email))},
		{"acme-keys-file", "", "path",
			"a file with what authorities give their customers (EAB): lines with URL, key id and key",
			parsed(&c.ACME.KeysFile, optionalPath)},
		{"acme-roots", "", "path",
			"a file with the root certificates of a private authority at acme-ca",
			parsed(&c.ACME.Roots, optionalPath)},
		{"dns-exec", "", "path",
			"a program that sets DNS records, for wildcard certificates: PROGRAM present NAME VALUE",
			parsed(&c.ACME.DNSExec, optionalPath)},
		{"dns-server", "", "host:port",
			"a DNS server to ask for the addresses of domains; empty: the machine's",
			checked(&c.DNSServer, optional(address))},
		{"domain", "localhost", "host name", "an app answers at <app>.<domain>",
			checked(&c.Domain, domain)},
		{"default-app", "", "app", "the app that answers at the domain itself",
			checked(&c.DefaultApp, optional(volume.CheckName))},
		{"public-http-port", "", "port",
			"the port in the apps' URLs, if not http-addr's, such as a container's published port",
			checked(&c.PublicHTTPPort, optional(portNumber))},
		{"public-https-port", "", "port",
			"the port in the apps' https URLs, if not https-addr's",
			checked(&c.PublicHTTPSPort, optional(portNumber))},
		{"public-ssh-port", "", "port",
			"the port in git URLs, if not ssh-addr's",
			checked(&c.PublicSSHPort, optional(portNumber))},
		{"mode", "release", "release, watch or worktree",
			"release: build each commit beside the last; watch: in one folder; worktree: only write it there",
			checked(&c.Mode, oneOf("release", "watch", "worktree"))},
		{"keys", "", "authorized_keys lines",
			"public keys to add at start; the very first key becomes an admin",
			checked(&c.Keys, anything)},
		{"keys-file", "", "path", "a file of such keys", parsed(&c.KeysFile, optionalPath)},
		{"log-level", "info", "debug, info, warn or error", "least level in the server's own log",
			checked(&c.LogLevel, func(s string) error {
				return new(slog.LevelVar).UnmarshalText([]byte(s))
			})},
		{"log-file", "", "path",
			"file for the server's own log; empty: standard error; at 10 MiB it is renamed to *.1",
			parsed(&c.LogFile, optionalPath)},
		{"grace", "10s", "duration, 1ms to 10m",
			"how long a process may take to end after SIGTERM, before SIGKILL",
			parsed(&c.Grace, duration(time.Millisecond, 10*minute))},
		{"drain", "30s", "duration, 1ms to 1h",
			"how long requests in flight on the old version may take to finish",
			parsed(&c.Drain, duration(time.Millisecond, hour))},
		{"hold", "15s", "duration, 1ms to 5m",
			"how long a request waits for an app that is starting",
			parsed(&c.Hold, duration(time.Millisecond, 5*minute))},
		{"build-timeout", "15m", "duration, 1s to 24h", "how long one build may take",
			parsed(&c.BuildTimeout, duration(second, 24*hour))},
		{"build-memory", "0", "bytes, 1KiB to 1TiB, or 0: no limit",
			"how much memory one build may use",
			parsed(&c.BuildMemory, sizeOrNone)},
		{"max-builds", "0", "builds, or 0: one per two processors, at least 1",
			"how many builds run at once; the others wait in order",
			parsed(&c.MaxBuilds, number(0))},
		{"keep-builds", "5", "builds, at least 1",
			"how many builds of an app are kept for rollback, including the live one",
			parsed(&c.KeepBuilds, number(1))},
		{"min-free", "256MiB", "bytes, 1KiB to 1TiB, or 0: never",
			"refuse deploys if the disk has less free than this or three times the commit's size",
			parsed(&c.MinFree, sizeOrNone)},
		{"boot-timeout", "1m", "duration, 100ms to 1h",
			"how long an app may take to listen on its port",
			parsed(&c.BootTimeout, duration(second/10, hour))},
		{"prove", "5s", "duration, up to 1h; 0: not at all",
			"how long a new release must run with the traffic before the branch moves",
			parsed(&c.Prove, duration(0, hour))},
		{"max-push", "512MiB", "bytes, 1KiB to 1TiB", "largest pack that one push may send",
			parsed(&c.MaxPush, size)},
		{"max-files", "200000", "files, at least 1", "most files in one commit",
			parsed(&c.MaxFiles, number(1))},
		{"max-tree", "2GiB", "bytes, 1KiB to 1TiB", "largest total size of one commit's files",
			parsed(&c.MaxTree, size)},
		{"pass-env", "", "names, separated by commas",
			"variables of the server's own environment that builds and apps may see",
			parsed(&c.PassEnv, names)},
		{"toolchains", "fetch", "fetch or server",
			"fetch: get the versions of Node and the like that apps ask for; server: use the server's",
			checked(&c.Toolchains, oneOf("fetch", "server"))},
		{"isolation", "auto", "auto, required or off",
			"separate the apps: as far as possible; fully, or do not start; not at all",
			checked(&c.Isolation, oneOf("auto", "required", "off"))},
		{"app-net", "closed", "closed or open",
			"closed: no app reaches others' ports or the cloud's metadata (needs root, nftables)",
			checked(&c.AppNet, oneOf("closed", "open"))},
		{"uids", "70000-89999", "range of user ids",
			"user ids for apps, one each, if the server is root",
			func(s string) (err error) { c.FirstUID, c.LastUID, err = uids(s); return err }},
		{"app-read", "", "paths, separated by commas",
			"more folders that apps may read, beyond what every user of the machine may",
			parsed(&c.AppRead, paths)},
		{"app-write", "", "paths, separated by commas",
			"more folders that apps may write to, beyond their own",
			parsed(&c.AppWrite, paths)},
		{"source-url", "", "URL", "a remote repository to follow, for a server with one app",
			checked(&c.Source.URL, anything)},
		{"source-app", "app", "app", "the app that source-url feeds",
			checked(&c.Source.App, optional(volume.CheckName))},
		{"source-branch", "", "branch",
			"the branch of source-url to follow; empty: its default branch",
			checked(&c.Source.Branch, anything)},
		{"source-tag", "", "pattern",
			"follow tags of source-url instead: the newest version that matches, such as v*",
			checked(&c.Source.Tag, anything)},
		{"source-commit", "", "commit", "the commit of source-url to stay at; all 40 digits",
			checked(&c.Source.Commit, anything)},
		{"source-every", "10s", "duration, 1s to 24h", "how often to check source-url",
			parsed(&c.Source.Every, duration(second, 24*hour))},
		{"source-token-file", "", "path",
			"a file with the password or access token for source-url",
			parsed(&c.Source.TokenFile, optionalPath)},
		{"source-key-file", "", "path", "a file with the private SSH key for source-url",
			parsed(&c.Source.KeyFile, optionalPath)},
		{"source-known-hosts-file", "", "path",
			"a known_hosts file with the key of source-url's host",
			parsed(&c.Source.KnownHostsFile, optionalPath)},
		{"sidecar-addr", "", "host:port",
			"where the sidecar answers webhooks, /healthz and /metrics; empty: nowhere",
			checked(&c.SidecarAddr, optional(address))},
		{"sidecar-exec", "", "path", "a program that the sidecar runs after each new version",
			parsed(&c.SidecarExec, optionalPath)},
		{"sidecar-call", "", "URL", "a URL that the sidecar POSTs to after each new version",
			checked(&c.SidecarCall, optional(webURL))},
		{"notify", "true", "true or false",
			"have the operating system report changes of the volume, in addition to polling",
			parsed(&c.Notify, func(s string) (bool, error) {
				return s == "true", oneOf("true", "false")(s)
			})},
		{"poll", "1s", "duration, 10ms to 1m",
			"how often to check the volume without notifications; a fifth as often with them",
			parsed(&c.Poll, duration(10*time.Millisecond, minute))},
	}
}

// parsed stores what parse makes of the text.
func parsed[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) { *to, err = parse(s); return err }
}

// checked stores the text itself if check accepts it.
func checked(to *string, check func(string) error) func(string) error {
	return func(s string) error { *to = s; return check(s) }
}

// secrets are settings whose values are never shown: such a URL can be as good as a password.
var secrets = []string{"sidecar-call"}

// Values describes the setting's unit and default, for help texts.
func (s Setting) Values() string {
	if s.Default == "" {
		return fmt.Sprintf("(%s)", s.Unit)
	}
	return fmt.Sprintf("(%s; default %s)", s.Unit, s.Default)
}

func (s setting) shown(value, source string) Setting {
	return Setting{Key: s.key, Value: value, Source: source, Default: s.def, Unit: s.unit,
		Help: s.help}
}

// name is what the setting is called at the place that its value comes from.
func (s setting) name(source string) string {
	switch source {
	case FromFlag:
		return "--" + s.key
	case FromEnv:
		return environmentName(s.key)
	}
	return s.key
}

// keys lists the names of all settings.
func keys() (list []string) {
	for _, s := range table(&Config{}) {
		list = append(list, s.key)
	}
	return list
}

func anything(string) error { return nil }

// optional also accepts the empty text.
func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return errors.New("want " + strings.Join(words, " or "))
		}
		return nil
	}
}

func address(s string) error {
	if _, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.Atoi(port); err == nil && n >= 0 && n <= 65535 {
			return nil
		}
	}
	return errors.New("want host:port or :port, port 0 to 65535, such as :8080")
}

func portNumber(s string) error {
	// It goes into URLs as it is, so it has no zeros in front.
	if _, err := strconv.ParseUint(s, 10, 16); err != nil || s[0] == '0' {
		return errors.New("want a port, 1 to 65535")
	}
	return nil
}

func webURL(s string) error {
	if !webURLPattern.MatchString(s) {
		return errors.New("want an http:// or https:// URL")
	}
	return nil
}

func webURLs(s string) ([]string, error) {
	list := items(s)
	for _, item := range list {
		if err := webURL(item); err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
	}
	return list, nil
}

func email(s string) error {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return errors.New("want an e-mail address, such as me@example.com")
	}
	return nil
}

var webURLPattern = regexp.MustCompile(`^https?://[^\s/]+(/\S*)?$`)

func domain(s string) error {
	if len(s) > 220 || !hostName.MatchString(s) { // leave space for an app's name in front
		return errors.New("want a host name in lower case, such as apps.example.com")
	}
	return nil
}

// hostName matches a host name of letters, digits and hyphens (RFC 1123, section 2.1) in lower
// case.
var hostName = regexp.MustCompile(
	`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func duration(low, high time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < low || d > high {
			const format = "want a duration from %v to %v, such as 500ms, 10s or 2m"
			return 0, fmt.Errorf(format, low, high)
		}
		return d, nil
	}
}

func number(low int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low {
			return 0, fmt.Errorf("want a whole number, at least %d", low)
		}
		return n, nil
	}
}

// size reads a number of bytes such as 1048576, 1024KiB, 1MiB or 1.5GiB. Decimal units such as 1MB
// work too.
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

// sizeOrNone is like size, and also accepts 0.
func sizeOrNone(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	n, err := size(s)
	if err != nil {
		err = fmt.Errorf("%w, or 0", err)
	}
	return n, err
}

func path(s string) (string, error) {
	if s == "" {
		return "", errors.New("want a path")
	}
	return expand(s)
}

func optionalPath(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return expand(s)
}

// items splits a list at its commas.
func items(s string) (list []string) {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// ranges reads IP addresses, and ranges such as 10.0.0.0/8.
func ranges(s string) (list []netip.Prefix, err error) {
	for _, item := range items(s) {
		p, err := netip.ParsePrefix(item)
		if ip, notIP := netip.ParseAddr(item); notIP == nil && ip.Zone() == "" {
			p, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an IP address nor a range such as 10.0.0.0/8", item)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func paths(s string) (list []string, err error) {
	for _, item := range items(s) {
		if item, err = expand(item); err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// uids reads a range of user ids such as 70000-89999. Ids below 1000 belong to the system, and
// 65534 to nobody.
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
		return 0, 0, errors.New("65534 is the user nobody: choose a range without it")
	}
	return first, last, nil
}

func names(s string) ([]string, error) {
	list := items(s)
	for _, name := range list {
		if !variable.MatchString(name) {
			return nil, fmt.Errorf("%q is not the name of a variable", name)
		}
		if strings.HasPrefix(name, prefix) {
			return nil, fmt.Errorf("%s belongs to the server itself", name)
		}
	}
	return list, nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
