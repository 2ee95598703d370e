package format

import (
	"encoding/binary"
	"strconv"
)

const (
	identityV2Iterations = 1000
	identityHeader       = 13 // version, digest, iterations, length of the salt
)

// parseIdentityV2 reads ASP.NET Identity's version 2: base64 of a zero, 16 bytes of salt and 32 of PBKDF2-HMAC-SHA1.
func parseIdentityV2(encoded string) (Hash, error) {
	const size = 1 + 16 + 32
	b, err := padded(encoded, size, size)
	if err != nil || b[0] != 0 {
		return nil, ErrUnknown // nothing but a letter A told that it might be one
	}
	h, err := newPBKDF2("sha1")
	if err != nil {
		return nil, err
	}
	h.iterations, h.salt, h.key = identityV2Iterations, b[1:17], b[17:]
	return h, nil
}

// parseIdentityV3 reads version 3: base64 of a one and, in network order, the digest, the iterations and the length of
// the salt, followed by salt and key.
func parseIdentityV3(encoded string) (Hash, error) {
	b, err := padded(encoded, identityHeader+8+16, identityHeader+128+64)
	if err != nil || b[0] != 1 {
		return nil, ErrMalformed
	}
	digest, found := map[uint32]string{0: "sha1", 1: "sha256", 2: "sha512"}[binary.BigEndian.Uint32(b[1:])]
	if !found {
		return nil, ErrMalformed
	}
	h, err := newPBKDF2(digest)
	if err != nil {
		return nil, err
	}
	if h.iterations, err = number(strconv.FormatUint(uint64(binary.BigEndian.Uint32(b[5:])), 10), 1, pbkdf2MaxIterations); err != nil {
		return nil, err
	}
	length, rest := binary.BigEndian.Uint32(b[9:]), b[identityHeader:]
	if length < 8 || length > 128 || int(length)+16 > len(rest) || len(rest)-int(length) > 64 {
		return nil, ErrMalformed
	}
	h.salt, h.key = rest[:length], rest[length:]
	return h, nil
}
