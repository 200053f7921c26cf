package access

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

// options are what stands in front of a key in its file: options of authorized_keys (sshd(8),
// "AUTHORIZED_KEYS FILE FORMAT"), and the role if it is not that of a member.
type options struct {
	role    Right
	from    string    // patterns of addresses; empty: from everywhere
	expires time.Time // zero: never
}

// parseOptions reads options as the parser of the line has split them. The role is our own, and
// nobody can give it in the text of a key.
func parseOptions(words []string, ownFile bool) (o options, err error) {
	o.role = Member
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		value = strings.Trim(value, `"`)
		switch name = strings.ToLower(name); {
		case ownFile && (word == Admin.String() || word == Guest.String()):
			err = o.role.UnmarshalText([]byte(word))
		case name == "from" && o.from == "":
			o.from, err = value, checkPatterns(value)
		case name == "expiry-time":
			var t time.Time
			if t, err = parseExpiry(value); o.expires.IsZero() || t.Before(o.expires) {
				o.expires = t
			}
		default:
			err = fmt.Errorf("options in front of a key other than from= and expiry-time= "+
				"are not supported (%.80q); give the key without them", words)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// String returns the options as they stand in front of a key, with a blank behind them.
func (o options) String() string {
	var words []string
	if o.role != Member {
		words = append(words, o.role.String())
	}
	if o.from != "" {
		words = append(words, `from="`+o.from+`"`)
	}
	if !o.expires.IsZero() {
		words = append(words, `expiry-time="`+o.expires.UTC().Format("20060102150405Z")+`"`)
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, ",") + " "
}

// parseExpiry reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in UTC with a Z at the end, otherwise
// in the server's time zone.
func parseExpiry(text string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(strings.ToUpper(text), "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil && len(digits) == len(layout) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf(
		`expiry-time= is YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z for UTC, not %.40q`, text)
}

// checkPatterns returns an error if the list has something else than addresses, ranges and patterns
// with * and ?. Names of hosts are nothing to compare with, because addresses are not looked up.
func checkPatterns(list string) error {
	for p := range strings.SplitSeq(list, ",") {
		one := strings.TrimPrefix(p, "!")
		ok := only(one, digits+"abcdefABCDEF:.*?") && strings.ContainsAny(one, ":.*?")
		if strings.Contains(one, "/") {
			prefix, err := netip.ParsePrefix(one)
			ok = err == nil && prefix == prefix.Masked() // as sshd: no bits behind the range's
		}
		if !ok {
			return fmt.Errorf("from= takes addresses, ranges such as 10.0.0.0/8, and patterns such as "+
				"192.0.2.*, not %.80q", p)
		}
	}
	return nil
}

// allows reports whether the list of patterns has the address, and no negated one has it (PATTERNS
// in ssh_config(5)).
func allows(list string, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	found := false
	for p := range strings.SplitSeq(strings.ToLower(list), ",") {
		p, not := strings.CutPrefix(p, "!")
		ok, _ := path.Match(p, addr.String()) // it has no brackets and no backslashes
		if prefix, err := netip.ParsePrefix(p); err == nil {
			ok = prefix.Contains(addr) ||
				prefix.Addr().Is4In6() && prefix.Contains(netip.AddrFrom16(addr.As16()))
		} else if one, err := netip.ParseAddr(p); err == nil {
			ok = one.Unmap() == addr
		}
		if ok && not {
			return false
		}
		found = found || ok
	}
	return found
}

// usable returns why the options do not let in a client at the address now.
func (o options) usable(from netip.Addr) error {
	if !o.expires.IsZero() && !time.Now().Before(o.expires) {
		return fmt.Errorf("your key expired at %s", o.expires.UTC().Format(time.RFC3339))
	}
	switch {
	case o.from == "":
	case !from.IsValid():
		return errors.New("your key is for certain addresses only, and yours is not known")
	case !allows(o.from, from):
		return fmt.Errorf("your key may not be used from %s", from)
	}
	return nil
}
