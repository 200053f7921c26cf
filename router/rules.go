package router

import (
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
)

// Rules say which requests an app takes. Others are answered at once: they neither wait for the app
// nor wake it. A request that waits when the rules change is not checked again.
type Rules struct {
	Maintenance bool              // answer every request with 503
	Allow       []string          // client addresses and ranges in CIDR notation; empty: all
	Users       map[string]string // bcrypt hashes of passwords by user name; empty: ask for none
	MaxBody     int64             // bytes in a request's body, else 413; 0: no limit
}

// Reasons why an app's rules refuse a request.
var (
	errMaintenance  = errors.New("the app is in maintenance")
	errNotAllowed   = errors.New("the app does not allow the client's address")
	errUnauthorized = errors.New("the user name or password is missing or wrong")
	errManyLogins   = errors.New("too many passwords are being checked")
	errTooLarge     = errors.New("the request's body is larger than the app allows")
)

// ruleSet is an app's rules, ready for use, and its own pages.
type ruleSet struct {
	rules  Rules
	pages  map[string]string // HTML, by name: "503", "maintenance"
	allow  []netip.Prefix
	logins logins
}

// newRuleSet returns the rules of route. An entry of Allow that is no address lets nobody in.
func newRuleSet(route Route) *ruleSet {
	s := &ruleSet{rules: route.Rules, pages: route.Pages, logins: newLogins(route.Rules.Users)}
	for _, entry := range route.Rules.Allow {
		if p, err := netip.ParsePrefix(entry); err == nil {
			s.allow = append(s.allow, p)
		} else if ip, err := netip.ParseAddr(entry); err == nil {
			s.allow = append(s.allow, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	return s
}

// setRules replaces a's rules if they differ. Users then need not be checked again.
func (a *app) setRules(route Route) {
	now := a.rules.Load()
	switch {
	case reflect.DeepEqual(route.Rules, Rules{}) && len(route.Pages) == 0:
		a.rules.Store(nil)
	case now == nil || !reflect.DeepEqual(route.Rules, now.rules) ||
		!reflect.DeepEqual(route.Pages, now.pages):
		a.rules.Store(newRuleSet(route))
	}
}

// check returns why the app's rules refuse x; nil if they do not. It may block while a password is
// checked.
func (a *app) check(x *exchange) error {
	s := a.rules.Load()
	if s == nil {
		return nil
	}
	switch {
	case len(s.rules.Allow) > 0 && !s.allows(x.from):
		return errNotAllowed
	case s.rules.Maintenance:
		return errMaintenance
	}
	if len(s.rules.Users) > 0 {
		var err error
		if x.user, err = s.logins.check(x); err != nil {
			return err
		}
	}
	if x.maxBody = s.rules.MaxBody; x.maxBody > 0 && x.req.length > x.maxBody {
		return errTooLarge
	}
	return nil
}

func (s *ruleSet) allows(client string) bool {
	ip, err := netip.ParseAddr(client)
	return err == nil && contains(s.allow, ip)
}

// ownPage returns the app's own HTML instead of p, if it has some.
func (a *app) ownPage(p page) (html string, ok bool) {
	s := a.rules.Load()
	if s == nil {
		return "", false
	}
	if p.Status == http.StatusServiceUnavailable && s.rules.Maintenance {
		if html, ok = s.pages["maintenance"]; ok {
			return html, true
		}
	}
	html, ok = s.pages[strconv.Itoa(p.Status)]
	return html, ok
}
