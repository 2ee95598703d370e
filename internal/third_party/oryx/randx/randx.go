// Package randx makes random texts.
package randx

import (
	"crypto/rand"
	"math/big"
)

// AlphaUpper is the upper-case Latin alphabet.
var AlphaUpper = []rune("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

// RuneSequence returns l runes drawn evenly from allowed by crypto/rand.
func RuneSequence(l int, allowed []rune) ([]rune, error) {
	seq, n := make([]rune, l), big.NewInt(int64(len(allowed)))
	for i := range seq {
		k, err := rand.Int(rand.Reader, n)
		if err != nil {
			return nil, err
		}
		seq[i] = allowed[k.Int64()]
	}
	return seq, nil
}
