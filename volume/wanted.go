package volume

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"time"
)

// Wanted is what should run now, whatever the live release is. A change takes effect at once,
// without a release, and a rollback brings nothing of it back.
//
// Grace and Prove belong here: they say how the server treats processes from now on, are part of no
// build or environment, and a rollback in an emergency must not bring back a limit from long ago.
type Wanted struct {
	// Formation maps process types to how many run; app.json decides about the others.
	Formation map[string]int `json:"formation,omitempty"`
	// Limits maps process types to the limits of each process; "" is the default for types that set
	// none.
	Limits map[string]Limits `json:"limits,omitempty"`
	// Sleep is after how many nanoseconds without a request the app sleeps; 0: never.
	Sleep time.Duration `json:"sleep,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL, in nanoseconds; 0: the server's.
	Grace time.Duration `json:"grace,omitempty"`
	// Prove is how long a new release is watched before the branch moves, in nanoseconds; nil: the
	// server's.
	Prove *time.Duration `json:"prove,omitempty"`
	// Stopped is the release that was stopped; a later one runs.
	Stopped int `json:"stopped,omitempty"`
	// Restarts maps a process type, or type.index, to the token of its last restart.
	Restarts map[string]string `json:"restarts,omitempty"`
	// Wake is the token of the last command that wakes the app.
	Wake string `json:"wake,omitempty"`
	// HTTP2 is whether the web processes speak HTTP/2 without TLS, and no HTTP/1.
	HTTP2 bool `json:"http2,omitempty"`
	// Rules are what the front door demands of the app's visitors.
	Rules Rules `json:"rules,omitzero"`
	// ErrorPages is the folder of the tree with the app's own pages for when it cannot answer: 503.html,
	// maintenance.html and the like; empty: public.
	ErrorPages string `json:"error_pages,omitempty"`
	// Cron is the last run of a cron entry that a person asked for.
	Cron CronRequest `json:"cron,omitzero"`

	// Names are the host names of the app besides its default ones.
	Names Names `json:"names,omitzero"`
}

// Names are host names of an app besides its default ones, and what visitors are told at all of them.
type Names struct {
	// Domains are sorted, and in ASCII. *.example.com is each name directly below example.com.
	Domains []string `json:"domains,omitempty"`
	// Redirects maps names of the app to those that their visitors are sent to.
	Redirects map[string]string `json:"redirects,omitempty"`
	// NoRedirect leaves visitors at plain HTTP although there is a certificate.
	NoRedirect bool `json:"no_redirect,omitempty"`
	// HSTS is for how long browsers should remember to use HTTPS; 0: they are not asked to.
	HSTS time.Duration `json:"hsts,omitempty"`
	// Certify is the token of the last command that asks for certificates at once.
	Certify string `json:"certify,omitempty"`
}

// Rules are what the front door demands of an app's visitors. The zero value lets everything in.
type Rules struct {
	// Maintenance answers each request with 503.
	Maintenance bool `json:"maintenance,omitempty"`
	// Allow lists the addresses and ranges (203.0.113.0/24) that may send requests; empty: all may.
	Allow []string `json:"allow,omitempty"`
	// Users maps the names of those who may send requests to bcrypt hashes of their passwords; empty:
	// everybody may.
	Users map[string]string `json:"users,omitempty"`
	// MaxBody is how many bytes the body of a request may have; 0: any number.
	MaxBody int64 `json:"max_body,omitempty"`
}

// Restart is the token of the last restart that applies to the process type.index; empty: none
// does.
func (w Wanted) Restart(processType string, index int) string {
	return w.Restarts[processType] + w.Restarts[processType+"."+strconv.Itoa(index)]
}

// LimitsOf are the limits of each process of a type.
func (w Wanted) LimitsOf(processType string) Limits {
	return w.Limits[processType].Over(w.Limits[""])
}

const wantedRemedy = "restore it from a backup, or delete it: then the app lets everybody in, and runs as " +
	"its app.json says, or one web process, without limits; until then visitors get 503 after a restart"

// Wanted reads what should run of the app; zero if nothing was ever set. An earlier version kept it
// in settings.json: that counts until [App.SetWanted] or [App.SetSettings] is called for the first
// time.
func (a App) Wanted() (Wanted, error) {
	w, err := read[Wanted](a, "wanted.json", wantedRemedy)
	if errors.Is(err, fs.ErrNotExist) {
		w, err = read[Wanted](a, "settings.json", settingsRemedy)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return w, err
}

// SetWanted replaces what should run of the app, and rings. The caller holds the app's turn, and
// has read it under the turn.
func (a App) SetWanted(w Wanted) error {
	err := a.vol.writeJSON(a.path("wanted.json"), w, 0o600) // it has hashes of passwords
	if err == nil {
		a.Ring()
	}
	return err
}

// splitWanted writes wanted.json for an app of an earlier version, before settings.json is written
// without it. A crash in between does no harm: wanted.json has the same values, and counts.
func (a App) splitWanted() error {
	_, err := os.Lstat(a.path("wanted.json"))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := a.Wanted()
	if err != nil || reflect.DeepEqual(w, Wanted{}) {
		return err
	}
	return a.SetWanted(w)
}
