package runtime

// route tells the front who answers for the app now: the web processes that are healthy. drained
// closes when nobody waits for another any more.
func (h *home) route() (drained <-chan struct{}) {
	var addrs []string
	condition := Down
	if h.nap.asleep() {
		condition = Asleep
	} else if h.live != nil {
		addrs, condition = h.live.traffic()
	}
	return h.rt.Front.Route(h.app.Name, addrs, condition)
}

// traffic is where requests go and, where they cannot go anywhere, what visitors meet: they wait
// while a process starts, and are told at once where none is wanted or all are in a crash loop.
func (i *instance) traffic() (addrs []string, condition Condition) {
	condition = Down
	for _, m := range i.sorted() {
		switch {
		case !m.isWeb():
		case m.status.State == string(Running) && !m.gone:
			addrs, condition = append(addrs, m.current().Addr()), Running
		case condition == Down && m.deaths < downAfter:
			condition = Starting
		}
	}
	return addrs, condition
}
