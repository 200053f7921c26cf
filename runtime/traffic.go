package runtime

import (
	"reflect"

	"paas/formation"
	"paas/volume"
)

// route tells the front which web processes of the app are healthy. drained closes when no request
// is in progress at another one.
func (a *appLoop) route() (drained <-chan struct{}) {
	var addrs []string
	state := Down
	if a.sleeper.asleep() {
		state = Asleep
	} else if a.live != nil {
		addrs, state = a.live.traffic()
	}
	return a.show(addrs, state)
}

// show tells the front where the app's requests go.
func (a *appLoop) show(addrs []string, state State) (drained <-chan struct{}) {
	if state != Starting {
		a.rename.serves()
	}
	a.shown = a.visible()
	return a.rt.Front.Route(Route{
		App: a.app.Name, Former: a.app.Former(), Addrs: addrs, State: state,
		Names: a.settings.Names, Rules: a.settings.Rules, Pages: a.errorPages(),
		HTTP2: a.settings.HTTP2 && !a.servesFiles(),
	})
}

// visible is what the front shows and demands whatever runs.
type visible struct {
	names volume.Names
	rules volume.Rules
	pages string // a folder
	http2 bool
}

func (a *appLoop) visible() visible {
	w := a.settings
	return visible{w.Names, w.Rules, w.ErrorPages, w.HTTP2}
}

// servesFiles reports whether what is live is static files, which this server sends by HTTP/1.
func (a *appLoop) servesFiles() bool {
	return a.live != nil && a.live.built.Processes[formation.Web] == ""
}

// showRules tells the front if what it shows and demands has changed.
func (a *appLoop) showRules() {
	if !reflect.DeepEqual(a.shown, a.visible()) {
		a.route()
	}
}

// downAfter is the number of crashes in a row after which visitors are told that the app is down.
const downAfter = 5

// traffic returns the addresses of the healthy web processes and, if there are none, what to do
// with requests: they wait while a process starts, and get an error if none is wanted or all keep
// crashing.
func (i *instance) traffic() (addrs []string, state State) {
	state = Down
	for _, m := range i.sorted() {
		switch {
		case !m.isWeb():
		case m.status.State == string(Running) && !m.left:
			addrs, state = append(addrs, m.proc.place.Addr), Running
		case state == Down && m.deaths < downAfter:
			state = Starting
		}
	}
	return addrs, state
}
