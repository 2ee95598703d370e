package password

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// Generate makes a password of 100 random bits, in groups for whoever has to type it.
func Generate(random io.Reader) (string, error) {
	const size, group = 15, 5
	b := make([]byte, size)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("make a password: %w", err)
	}
	// Without i, l, o and u, which are taken for other characters or form words.
	letters := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(b)[:4*group]
	return strings.Join([]string{letters[:group], letters[group : 2*group], letters[2*group : 3*group], letters[3*group:]}, "-"), nil
}
