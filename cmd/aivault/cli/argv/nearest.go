package argv

// Nearest returns the name that word is most likely a misspelling of: the first
// of those with the fewest edits, at most a third of its length; "" if there is
// none.
func Nearest(word string, names []string) string {
	best, fewest := "", len(word)/3+1
	for _, name := range names {
		if d := edits(word, name); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// edits counts the insertions, deletions, substitutions and swaps of neighbours
// that turn a into b (optimal string alignment).
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
