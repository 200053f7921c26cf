package command

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"paas/builder"
	"paas/formation"
	"paas/formation/appjson"
	"paas/git"
	"paas/volume"
)

// What an app may have, whether somebody asks for it or a backup brings it.

// maxGrace is the longest time that a process has to stop, maxProve the longest that a release has
// to prove itself.
const (
	maxGrace = time.Hour
	maxProve = time.Hour
)

// maxUsers is how many users an app may have: each page that the front sends may need all of them.
const maxUsers = 100

// maxAllow is how many entries an app's list may have.
const maxAllow = 1000

// maxHSTS is the longest time that browsers are asked to remember to use HTTPS.
const maxHSTS = 2 * 365 * 24 * time.Hour

// maxDomains is how many domains an app may have.
const maxDomains = 100

// isUser reports whether a visitor's name is one.
func isUser(name string) bool {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == ':' || r == 0x7f })
	return name != "" && len(name) <= 100 && !bad
}

// parseRange returns an IP address, or a range such as 203.0.113.0/24, in its usual form.
func parseRange(s string) (string, error) {
	if p, err := netip.ParsePrefix(s); err == nil && !p.Addr().Is4In6() {
		if p != p.Masked() {
			return "", fmt.Errorf("%s is not a range; the one around it is %s", s, p.Masked())
		}
		return p.String(), nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return "", fmt.Errorf("an address is like 203.0.113.7 or 2001:db8::7, a range like 203.0.113.0/24; not %q",
			plain(s))
	}
	return ip.Unmap().String(), nil
}

// domainTaken says whose the domain is to callers who may know it.
func (c *Call) domainTaken(err error) error {
	var taken *volume.DomainTaken
	if !errors.As(err, &taken) {
		return err
	}
	_, hidden := c.App(taken.Owner)
	switch {
	case hidden != nil:
		return conflict("", "%s belongs to another app of this server", taken.Domain)
	case taken.By != "":
		return conflict("only somebody who may operate both apps can add it",
			"%s and %s overlap, and that belongs to %s", taken.Domain, taken.By, taken.Owner)
	}
	return conflict("domains:remove "+taken.Owner+" "+taken.Domain+" frees it",
		"%s belongs to %s", taken.Domain, taken.Owner)
}

// configKey is a config var's name: what a POSIX environment carries through every program
// (IEEE Std 1003.1, section 8.1), in either case.
var configKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// maxConfig bounds the sum of an app's config vars in bytes, as execve does with its environment.
const maxConfig = 64 << 10

// reserved are the variables that the runtime sets.
var reserved = []string{"PORT", "DATA_DIR", "PAAS_APP", "PAAS_RELEASE", "PAAS_RUN"}

// isServers reports whether a domain belongs to the server itself.
func (c *Call) isServers(name string) bool {
	domain := c.Domain()
	return strings.HasSuffix(name, "."+domain) || volume.MatchDomain(name, domain)
}

// mayHave fails if the caller could not give an app such settings. They come from a backup, which may
// come from anybody. The domains are not checked: an app gets them later, if they are free.
func (c *Call) mayHave(s volume.Settings, w volume.Wanted, source *volume.Source) error {
	err := errors.Join(c.mayFreeze(s), mayWant(w))
	if err == nil && source != nil {
		err = checkSource("app", *source)
	}
	return err
}

func (c *Call) mayFreeze(s volume.Settings) error {
	if s.Branch != "" {
		if err := git.CheckBranch(s.Branch); err != nil {
			return err
		}
	}
	if s.Mode != "" && !slices.Contains(volume.Modes, s.Mode) {
		return fmt.Errorf("there is no mode %q", plain(string(s.Mode)))
	}
	if dir, err := volume.CheckFolder("build-dir", s.BuildDir); err != nil || dir != s.BuildDir {
		return errors.Join(err, fmt.Errorf("%.60q is no build-dir", s.BuildDir))
	}
	if err := c.mayName(s.Buildpack); err != nil {
		return err
	}
	packs, err := builder.ParseBuildpacks(s.Buildpack)
	for _, p := range packs {
		if err == nil && p.URL != "" {
			err = CheckBuildpack(p.URL)
		}
		if err == nil && p.Branch != "" {
			err = git.CheckBranch(p.Branch)
		}
	}
	if err != nil {
		return err
	}
	size := 0
	for key, value := range s.Config {
		size += len(key) + len(value)
		if !configKey.MatchString(key) || slices.Contains(reserved, key) || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%.60q is no config var that an app can have", key)
		}
	}
	if size > maxConfig {
		return fmt.Errorf("the config vars have %d bytes; an app can have %d", size, maxConfig)
	}
	var kept []string
	for _, folder := range s.Storage {
		if kept, err = volume.AddStorage(kept, folder); err != nil {
			return err
		}
	}
	if !slices.Equal(kept, s.Storage) {
		return errors.New("the list of storage has an odd form")
	}
	return nil
}

// maxHash is the highest cost of a visitor's password: each of their requests may need it.
const maxHash = bcrypt.DefaultCost + 2

func mayWant(w volume.Wanted) error {
	for t, n := range w.Formation {
		if err := appjson.CheckQuantity(n); err != nil || !formation.Scalable(t, "") {
			return fmt.Errorf("no app can have %s=%d", plain(t), n)
		}
	}
	for t, l := range w.Limits {
		if l.Memory != 0 && (l.Memory < minMemory || l.Memory > maxMemory) || l.CPU != 0 && l.CPU < minCPU ||
			l.Processes != 0 && (l.Processes < minProcesses || l.Processes > maxProcesses) {
			return fmt.Errorf("the limits of %q are out of bounds", plain(t))
		}
	}
	hash := func(text string) bool {
		cost, err := bcrypt.Cost([]byte(text))
		return err == nil && cost <= maxHash
	}
	for name, text := range w.Rules.Users {
		if !isUser(name) || !hash(text) {
			return fmt.Errorf("the visitor %.60q has no name or no password that an app can have", name)
		}
	}
	for _, entry := range w.Rules.Allow {
		if as, err := parseRange(entry); err != nil || as != entry {
			return errors.Join(err, fmt.Errorf("%.60q is no address", entry))
		}
	}
	pages, err := volume.CheckFolder("error-pages", w.ErrorPages)
	inBounds := func(d, low, high time.Duration) bool { return d == 0 || low <= d && d <= high }
	switch body := w.Rules.MaxBody; {
	case err != nil:
		return err
	case w.ErrorPages != "." && pages != w.ErrorPages,
		!inBounds(w.Sleep, minSleep, maxSleep), !inBounds(w.Grace, 1, maxGrace),
		w.Prove != nil && !inBounds(*w.Prove, 0, maxProve), !inBounds(w.Names.HSTS, time.Second, maxHSTS),
		body != 0 && (body < minBody || body > maxMemory), len(w.Rules.Users) > maxUsers,
		len(w.Rules.Allow) > maxAllow, len(w.Names.Domains) > maxDomains:
		return errors.New("a setting is out of bounds")
	}
	return nil
}
