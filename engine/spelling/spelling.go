// Package spelling finds the word that somebody meant.
package spelling

import "strings"

// maxWord bounds the work, which is quadratic, for a word of hostile length.
const maxWord = 64

// Nearest gives the candidate with the fewest insertions, deletions, replacements and
// swaps of neighbours (optimal string alignment, by bytes, whatever the case), if it is
// fewer than limit; the first of several, and nothing when none is near or the word is
// longer than 64 bytes.
func Nearest(word string, candidates []string, limit int) string {
	if len(word) > maxWord {
		return ""
	}
	word = strings.ToLower(word)
	best := ""
	for _, c := range candidates {
		if d := distance(word, strings.ToLower(c), limit); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance is limit when it is not less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(next[j-1]+1, row[j]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
