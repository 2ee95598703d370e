package password

import (
	"errors"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLength is the longest accepted password in Unicode code points, before and
// after normalisation. Longer ones are refused, never cut.
const MaxLength = 256

var (
	// ErrTooLong says that the password has more than [MaxLength] code points.
	ErrTooLong = errors.New("password: longer than 256 characters")
	// ErrNotText says that the password is not valid UTF-8.
	ErrNotText = errors.New("password: not valid UTF-8")
	// ErrEmpty says that there is no password to hash.
	ErrEmpty = errors.New("password: empty")
)

// Normalize is the one function between what a person typed and what is hashed.
// The lengths are checked before the costly part, and again because NFKC may
// expand one code point to eighteen. Its errors are [ErrTooLong] and [ErrNotText].
func Normalize(plain string) (string, error) {
	if len(plain) > MaxLength*utf8.UTFMax {
		return "", ErrTooLong
	}
	if !utf8.ValidString(plain) {
		return "", ErrNotText
	}
	if utf8.RuneCountInString(plain) > MaxLength {
		return "", ErrTooLong
	}
	normal := norm.NFKC.String(plain)
	if utf8.RuneCountInString(normal) > MaxLength {
		return "", ErrTooLong
	}
	return normal, nil
}
