package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"paas/durable"
)

// DomainTaken is the error for a domain that another app has: itself, or by a wildcard.
type DomainTaken struct {
	Domain, Owner string
	By            string // the owner's domain, if it is another one
}

func (t *DomainTaken) Error() string {
	if t.By != "" {
		return fmt.Sprintf("%s and %s overlap, and that belongs to the app %s", t.Domain, t.By, t.Owner)
	}
	return fmt.Sprintf("%s belongs to the app %s", t.Domain, t.Owner)
}

// domainPattern matches host names of at least two labels (RFC 1123, section 2.1) in lower case, or
// such a name below "*.".
var domainPattern = regexp.MustCompile(
	`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckDomain fails if name is no host name in lower-case ASCII, with at least one dot, or a
// wildcard such as *.example.com.
func CheckDomain(name string) error {
	if len(name) > 253 || !domainPattern.MatchString(name) {
		return fmt.Errorf("%.80q is not a domain such as www.example.com or *.example.com", name)
	}
	return nil
}

// ClaimDomain makes the app the owner of a domain that nobody has. It is harmless for a domain that
// the app has. The error is [DomainTaken] if another app has it, or has a wildcard above it, or, if it
// is a wildcard, a name below it; of the latter two, not if share allows that for that app. The caller
// holds the app's turn, and then writes the domain into [Wanted]: a claim without that is void once the
// turn has ended.
func (a App) ClaimDomain(name string, share func(owner string) bool) error {
	if err := CheckDomain(name); err != nil {
		return err
	}
	id, err := a.Identity()
	if err != nil {
		return err
	}
	unlock, err := a.vol.lockDomains()
	if err != nil {
		return err
	}
	defer unlock()
	owner, err := os.ReadFile(a.vol.domain(name))
	switch {
	case err == nil && string(owner) == id:
		return nil
	case err == nil:
		if other, ok := a.vol.holder(string(owner), name); ok {
			return &DomainTaken{Domain: name, Owner: other}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := a.vol.checkOverlap(id, name, share); err != nil {
		return err
	}
	return a.vol.WriteFile(a.vol.domain(name), []byte(id), 0o600)
}

// checkOverlap fails if another app than the one of that identity has a wildcard above name, or a name
// below it, unless share allows that.
func (v *Volume) checkOverlap(id, name string, share func(owner string) bool) error {
	claims, err := os.ReadDir(v.domains())
	if err != nil {
		return err
	}
	for _, claim := range claims {
		other := claim.Name()
		if !isBelow(name, other) && !isBelow(other, name) {
			continue
		}
		owner, err := os.ReadFile(v.domain(other))
		if err != nil {
			return err
		}
		if string(owner) == id {
			continue
		}
		if app, ok := v.holder(string(owner), other); ok && !share(app) {
			return &DomainTaken{name, app, other}
		}
	}
	return nil
}

// isBelow reports whether name is below a wildcard, at any depth: cookies know no depth.
func isBelow(name, wildcard string) bool {
	domain, ok := strings.CutPrefix(wildcard, "*.")
	return ok && name != wildcard && strings.HasSuffix(name, "."+domain)
}

// ReleaseDomain ends the app's claim on a domain. It does nothing if the app has none.
func (a App) ReleaseDomain(name string) error {
	id, err := a.Identity()
	if err != nil {
		return err
	}
	return a.vol.releaseDomains(id, []string{name})
}

// releaseDomains ends the claims of an app on names.
func (v *Volume) releaseDomains(id string, names []string) error {
	unlock, err := v.lockDomains()
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, name := range names {
		if owner, err := os.ReadFile(v.domain(name)); err == nil && string(owner) == id {
			errs = append(errs, os.Remove(v.domain(name)))
		}
	}
	return errors.Join(append(errs, durable.SyncDir(v.domains()))...)
}

// holder returns the app of that identity, if it has the domain or is about to get it.
func (v *Volume) holder(id, domain string) (name string, ok bool) {
	names, err := v.Apps()
	if err != nil {
		return "", true // it cannot be told, so nobody else gets it
	}
	for _, name := range names {
		a := App{vol: v, Name: name}
		if other, err := a.Identity(); err != nil || other != id {
			continue
		}
		held := a.TurnHeld() // first: it writes the domain before its turn ends
		w, err := a.Wanted()
		return name, held || err != nil || slices.Contains(w.Names.Domains, domain)
	}
	return "", false
}

// lockDomains lets one process at a time take or end claims. Otherwise two could take over the same
// void claim.
func (v *Volume) lockDomains() (unlock func(), err error) {
	if err := v.private(v.domains()); err != nil {
		return nil, err
	}
	f, err := os.Open(v.domains())
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (v *Volume) domains() string { return filepath.Join(v.Root, "domains") }

func (v *Volume) domain(name string) string { return filepath.Join(v.domains(), name) }

// MatchDomain reports whether host is name, or directly below it if that is a wildcard.
func MatchDomain(name, host string) bool {
	if domain, ok := strings.CutPrefix(name, "*."); ok {
		_, below, _ := strings.Cut(host, ".")
		return below == domain && host != name
	}
	return name == host
}
