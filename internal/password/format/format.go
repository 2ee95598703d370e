// Package format reads stored password hashes and compares passwords with them.
//
// It knows argon2id, in which new hashes are written, and the formats of the systems that people are brought along
// from: each is one small file and one line in formats, where a comment gives its spelling. Parameters come from
// whoever made the hash, so every one is checked against an upper bound before anything is computed: a parsed hash is
// affordable, and says how much memory it takes.
//
// The package neither normalises passwords nor bounds how many hashes are computed at once (package password).
package format

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

var (
	// ErrUnknown says that the hash is of no format that can be verified.
	ErrUnknown = errors.New("password: unknown hash format")
	// ErrMalformed says that the hash claims a known format and is not of it.
	ErrMalformed = errors.New("password: malformed hash")
	// ErrTooCostly says that the hash's parameters exceed what we compute.
	ErrTooCostly = errors.New("password: hash parameters are too costly")
	// ErrWeak says that the hash's algorithm or parameters are below the floor.
	ErrWeak = errors.New("password: hash parameters are too weak")
)

// maxEncoded bounds a stored hash before anything parses it. The longest legitimate ones are Keycloak's credentials,
// with about 600 bytes.
const maxEncoded = 1024

// Hash is a parsed hash whose parameters are within its format's bounds.
type Hash interface {
	// Matches computes the hash of plain and compares in constant time.
	Matches(plain string) bool
	// Memory is how many bytes Matches needs.
	Memory() int64
	// Weak reports an algorithm or parameters below the floor of the OWASP Password Storage Cheat Sheet.
	Weak() bool
}

// format reads one kind of hash. Its parse function is called for hashes with the prefix only.
type format struct {
	prefix, name string
	parse        func(encoded string) (Hash, error)
}

// formats lists what can be verified. Where one prefix begins another, the longer stands first.
func formats() []format {
	return []format{
		// PHC: $argon2id$v=19$m=19456,t=2,p=1$salt$hash
		{"$argon2id$", "argon2id", parseArgon2},
		{"$argon2i$", "argon2i", parseArgon2},
		// PHC, as passlib writes it: $scrypt$ln=17,r=8,p=1$salt$hash
		{"$scrypt$", "scrypt", parseScrypt},
		// PHC and passlib: $pbkdf2-sha256$i=600000,l=32$salt$hash, $pbkdf2-sha256$600000$salt$hash
		{"$pbkdf2-sha256$", "pbkdf2-sha256", parsePBKDF2},
		{"$pbkdf2-sha512$", "pbkdf2-sha512", parsePBKDF2},
		{"$pbkdf2-sha1$", "pbkdf2-sha1", parsePBKDF2},
		{"$pbkdf2$", "pbkdf2-sha1", parsePBKDF2},
		// crypt(3): bcrypt, yescrypt, SHA-crypt, MD5-crypt
		{"$2a$", "bcrypt", parseBcrypt},
		{"$2b$", "bcrypt", parseBcrypt},
		{"$2y$", "bcrypt", parseBcrypt},
		{"$y$", "yescrypt", parseYescrypt},
		{"$6$", "sha512-crypt", parseSHACrypt},
		{"$5$", "sha256-crypt", parseSHACrypt},
		{"$1$", "md5-crypt", parseMD5Crypt},
		// Django: pbkdf2_sha256$600000$salt$hash and its other hashers
		{"pbkdf2_sha256$", "Django pbkdf2_sha256", parseDjangoPBKDF2},
		{"pbkdf2_sha1$", "Django pbkdf2_sha1", parseDjangoPBKDF2},
		{"argon2$", "Django argon2", parseDjangoArgon2},
		{"bcrypt_sha256$", "Django bcrypt_sha256", parseDjangoBcryptSHA256},
		{"bcrypt$", "Django bcrypt", parseDjangoBcrypt},
		{"scrypt$", "Django scrypt", parseDjangoScrypt},
		{"sha1$", "Django sha1", parseDjangoDigest},
		{"md5$", "Django md5", parseDjangoDigest},
		// Firebase: $firescrypt$ln=14,r=8,p=1$salt$hash$separator$signerkey
		{"$firescrypt$", "Firebase scrypt", parseFirebase},
		// LDAP: {SSHA}base64 of digest and salt (RFC 2307 §5.3 and its successors in use)
		{"{SSHA}", "LDAP SSHA", parseLDAP},
		{"{SSHA256}", "LDAP SSHA256", parseLDAP},
		{"{SSHA512}", "LDAP SSHA512", parseLDAP},
		{"{SHA}", "LDAP SHA", parseLDAP},
		{"{SHA256}", "LDAP SHA256", parseLDAP},
		{"{SHA512}", "LDAP SHA512", parseLDAP},
		{"{CRYPT}", "LDAP CRYPT", parseLDAPCrypt},
		// phpass, of older WordPress ($P$) and phpBB ($H$), and newer WordPress
		{"$P$", "phpass", parsePHPass},
		{"$H$", "phpass", parsePHPass},
		{"$wp$", "WordPress", parseWordPress},
		// Keycloak: the credential of an export, {"credentialData":…,"secretData":…}
		{"{", "Keycloak", parseKeycloak},
		// ASP.NET Identity: base64, version 3 and version 2
		{"AQAAAA", "ASP.NET Identity 3", parseIdentityV3},
		{"A", "ASP.NET Identity 2", parseIdentityV2},
	}
}

// Parse reads a hash. Its errors are ErrUnknown, ErrMalformed and ErrTooCostly.
func Parse(encoded string) (Hash, error) {
	if len(encoded) > maxEncoded {
		return nil, ErrMalformed
	}
	f, ok := of(encoded)
	if !ok {
		return nil, ErrUnknown
	}
	return f.parse(encoded)
}

func of(encoded string) (format, bool) {
	for _, f := range formats() {
		if strings.HasPrefix(encoded, f.prefix) {
			return f, true
		}
	}
	return format{}, false
}

// Name is what the format of a hash is called, for people; "unknown" when Parse would say so. It tells nothing of the
// hash's own.
func Name(encoded string) string {
	if f, ok := of(encoded); ok {
		return f.name
	}
	return "unknown"
}

// number reads a parameter between least and most. Leading zeros and signs are
// malformed: one hash has one spelling.
func number(s string, least, most uint32) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, ErrTooCostly
	case err != nil, strconv.FormatUint(n, 10) != s, n < uint64(least):
		return 0, ErrMalformed
	case n > uint64(most):
		return 0, ErrTooCostly
	}
	return uint32(n), nil //nolint:gosec // G115: n was just compared with a uint32
}

// unpadded decodes base64 without padding into between least and most bytes.
func unpadded(s string, least, most int) ([]byte, error) {
	out, err := base64.RawStdEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks, which have no place in a hash.
	if err != nil || strings.ContainsAny(s, "\r\n") || len(out) < least || len(out) > most {
		return nil, ErrMalformed
	}
	return out, nil
}

// standard decodes base64 into between least and most bytes, whether it is padded or not.
func standard(s string, least, most int) ([]byte, error) {
	bare := strings.TrimRight(s, "=")
	if padding := len(s) - len(bare); padding != 0 && (len(s)%4 != 0 || padding > 2) {
		return nil, ErrMalformed
	}
	return unpadded(bare, least, most)
}

// padded decodes padded base64 into between least and most bytes.
func padded(s string, least, most int) ([]byte, error) {
	if len(s)%4 != 0 {
		return nil, ErrMalformed
	}
	return standard(s, least, most)
}
