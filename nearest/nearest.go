// Package nearest guesses what a misspelt word means, for "did you mean".
package nearest

// Word returns the word closest to name by edit distance. An edit inserts, deletes or changes a
// letter, or swaps two neighbours. It returns "" if no word is close enough: more than a third of
// name's letters would be wrong, and more than one.
func Word(name string, words []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, word := range words {
		if d := edits(name, word); d < distance {
			best, distance = word, d
		}
	}
	return best
}

// edits returns the optimal string alignment distance of a and b in bytes.
func edits(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
