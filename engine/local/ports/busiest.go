package ports

// Busiest returns the user whose programs listen on most of the ports from first to last, and how
// many those are. count is 0 if nobody listens or [Check] fails.
func Busiest(first, last int) (uid, count int) {
	if Check() != nil {
		return 0, 0
	}
	all, err := listening(0)
	if err != nil {
		return 0, 0
	}
	type listener struct{ uid, port int }
	seen, counts := map[listener]bool{}, map[int]int{}
	for _, s := range all {
		l := listener{int(s.uid), int(s.port)}
		if l.port < first || l.port > last || seen[l] { // it may listen on several addresses
			continue
		}
		seen[l] = true
		if counts[l.uid]++; counts[l.uid] > count {
			uid, count = l.uid, counts[l.uid]
		}
	}
	return uid, count
}
