package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/frequency"
)

const (
	// Shorter words are in every other one; longer ones and more of them only cost time.
	shortestWord, longestWord, mostWords = 3, 64, 300
	// scored is how many code points are scored: the time that it takes grows with their square and more.
	scored = 100
	// shortestCore is what must be left of a common password without the decoration.
	shortestCore = 4
	// decoration is how many digits and signs around a common password do not make it another.
	decoration = 6
)

// score is zxcvbn's: 0 for below 10³ guesses, 1 below 10⁶, 2 below 10⁸, 3 below 10¹⁰, 4 beyond.
func score(normal string, words []string) int {
	runes := []rune(normal)
	return zxcvbn.PasswordStrength(string(runes[:min(len(runes), scored)]), words).Score
}

// common tells whether the password is one of the 47,000 most common ones, also when typed several times over or with
// digits and signs around it. It is in lower case.
func common(lower string) bool {
	list := frequency.FrequencyLists["passwords"]
	if slices.Contains(list, lower) || slices.Contains(list, unit(lower)) {
		return true
	}
	core := strings.TrimFunc(lower, func(c rune) bool { return !unicode.IsLetter(c) })
	trimmed := utf8.RuneCountInString(lower) - utf8.RuneCountInString(core)
	return trimmed <= decoration && utf8.RuneCountInString(core) >= shortestCore && slices.Contains(list, unit(core))
}

// unit is the shortest text of which s is a repetition.
func unit(s string) string {
	if s == "" {
		return ""
	}
	return s[:strings.Index((s + s)[1:], s)+1]
}

// forbidden returns the word that the password contains, "" for none.
func forbidden(lower string, words []string) string {
	for _, w := range words {
		if strings.Contains(lower, strings.ToLower(w)) {
			return w
		}
	}
	return ""
}

// mostly tells whether the words, longest first, make up more than half of the password's letters and digits. That it
// has one of them among others is no harm.
func mostly(lower string, words []string) bool {
	all, rest := substance(lower), lower
	for _, w := range words {
		// What is taken out leaves a mark, so that its surroundings do not grow together into another word.
		rest = strings.ReplaceAll(rest, w, " ")
	}
	left := substance(rest)
	return left < all && 2*left < all
}

// substance counts letters and digits.
func substance(s string) (n int) {
	for _, c := range s {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			n++
		}
	}
	return n
}
