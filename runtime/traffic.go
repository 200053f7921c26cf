package runtime

// route tells the front who answers for the app now: the web processes that are healthy. drained
// closes when nobody waits for another any more.
func (h *home) route() (drained <-chan struct{}) {
	var addrs []string
	state := Down
	if h.nap.asleep() {
		state = Asleep
	} else if h.live != nil {
		addrs, state = h.live.traffic()
	}
	return h.rt.Front.Route(Route{App: h.app.Name, Addrs: addrs, State: state})
}

// downAfter is how many failures in a row are a crash loop: visitors are told.
const downAfter = 5

// traffic is where requests go and, where they cannot go anywhere, what visitors meet: they wait
// while a process starts, and are told at once where none is wanted or all are in a crash loop.
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
