package config

import (
	"strings"
)

// Issue is one thing wrong with the configuration.
type Issue struct {
	Name string // the setting or key it is about
	What string // what is wrong
	Why  string // why it is refused; may be empty where What says it
	How  string // how to mend it
}

// String is the issue in one line: name, what, why, how.
func (i Issue) String() string {
	text := i.Name + " " + i.What + "."
	for _, part := range []string{i.Why, i.How} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

// Invalid is every issue found, so that a person mends all of them at once.
type Invalid []Issue

// Error lists the issues, one a line.
func (v Invalid) Error() string {
	lines := make([]string, 0, len(v))
	for _, issue := range v {
		lines = append(lines, issue.String())
	}
	return strings.Join(lines, "\n")
}

// about reports whether one of the issues is about that name.
func (v Invalid) about(name string) bool {
	for _, issue := range v {
		if issue.Name == name {
			return true
		}
	}
	return false
}

// Nearest returns the candidate that a person most likely meant by name, or
// nothing when none is close. GATEHOUSE_ before either is left out of account.
func Nearest(name string, candidates []string) string {
	bare := strings.ToLower(strings.TrimPrefix(name, prefix))
	best, bestDistance := "", max(2, len(bare)/3)+1
	for _, candidate := range candidates {
		d := levenshtein(bare, strings.ToLower(strings.TrimPrefix(candidate, prefix)))
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// levenshtein counts the insertions, deletions and substitutions between a and b.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
