package router

import "strings"

// ownCookie returns the value of a Set-Cookie field without each Domain attribute that would give
// the cookie to other apps: the router's domain, or one above it. Browsers then give it to the host
// that set it alone. changed reports whether there was one.
func (r *Router) ownCookie(cookie string) (own string, changed bool) {
	parts := strings.Split(cookie, ";")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		if equalFold(strings.Trim(name, " \t"), "domain") && reaches(value, r.domain) {
			changed = true
			continue
		}
		kept = append(kept, part)
	}
	if !changed {
		return cookie, false
	}
	return strings.Join(kept, ";"), true
}

// reaches reports whether a cookie with that Domain attribute is sent to all hosts of domain (RFC
// 6265 section 5.2.3). It says so too of what is not plainly a host name, for browsers decode it in
// ways of their own.
func reaches(attribute, domain string) bool {
	name := strings.ToLower(strings.Trim(attribute, " \t\""))
	name = strings.TrimSuffix(strings.TrimPrefix(name, "."), ".")
	if name == "" {
		return false // as if there were none
	}
	if host, ok := parseHost(name); !ok || host != name {
		return true
	}
	return name == domain || strings.HasSuffix(domain, "."+name)
}

// checkCookie is ownCookie for x's response. The first time it says so in the app's log.
func (x *exchange) checkCookie(cookie string) string {
	own, changed := x.router.ownCookie(cookie)
	if changed && x.app.cookieSaid.CompareAndSwap(false, true) {
		name, _, _ := strings.Cut(cookie, "=")
		go x.app.log.note("the Domain of the cookie " + name + " was removed: " +
			"other apps below " + x.router.domain + " would get it too; this is said once")
	}
	return own
}
