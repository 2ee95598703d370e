package format

import (
	"crypto/md5"  //nolint:gosec // G501: what others hashed with
	"crypto/sha1" //nolint:gosec // G505: what others hashed with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
)

// digestMemory is counted for hashes that need next to none.
const digestMemory = 4 << 10

// digests are the plain digests that some systems hashed passwords with, by their usual names.
func digests() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
}

// digestHash is one digest of the password between two salts, of which at most one is not empty. It is always weak.
type digestHash struct {
	digest         func() hash.Hash
	prefix, suffix []byte
	sum            []byte
}

func (h digestHash) Matches(plain string) bool {
	d := h.digest()
	d.Write(h.prefix)
	d.Write([]byte(plain))
	d.Write(h.suffix)
	return subtle.ConstantTimeCompare(d.Sum(nil), h.sum) == 1
}

func (h digestHash) Memory() int64 { return digestMemory }

func (h digestHash) Weak() bool { return true }
