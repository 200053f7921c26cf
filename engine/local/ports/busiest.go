package ports

// Busiest is the user whose programs listen on most of the ports from first to last, and on how many. count is 0
// where nobody does, or [Check] reports an error.
func Busiest(first, last int) (uid, count int) {
	if Check() != nil {
		return 0, 0
	}
	all, err := listening(0)
	if err != nil {
		return 0, 0
	}
	seen, counts := map[[2]int]bool{}, map[int]int{}
	for _, s := range all {
		of := [2]int{int(s.uid), int(s.port)}
		if of[1] < first || of[1] > last || seen[of] { // it may listen on several addresses
			continue
		}
		seen[of] = true
		if counts[of[0]]++; counts[of[0]] > count {
			uid, count = of[0], counts[of[0]]
		}
	}
	return uid, count
}
