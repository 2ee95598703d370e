package format

import "strings"

// ldapMaxSalt is in bytes; directories write 4 to 16.
const ldapMaxSalt = 64

// parseLDAP reads {SSHA} and its longer kin, the digest followed by the salt in base64, and {SHA}, which has no salt.
func parseLDAP(encoded string) (Hash, error) {
	scheme, text, _ := strings.Cut(encoded[1:], "}")
	name, salted := strings.CutPrefix(scheme, "SSHA")
	if !salted {
		name = strings.TrimPrefix(scheme, "SHA")
	}
	if name == "" {
		name = "1"
	}
	h := digestHash{digest: digests()["sha"+name]}
	size, longest := h.digest().Size(), h.digest().Size()
	if salted {
		longest += ldapMaxSalt
	}
	sum, err := standard(text, size, longest)
	if err != nil {
		return nil, err
	}
	h.sum, h.suffix = sum[:size], sum[size:]
	if salted == (len(h.suffix) == 0) {
		return nil, ErrMalformed
	}
	return h, nil
}

// parseLDAPCrypt reads {CRYPT} followed by a hash of crypt(3).
func parseLDAPCrypt(encoded string) (Hash, error) {
	inner := strings.TrimPrefix(encoded, "{CRYPT}")
	for _, prefix := range []string{"$1$", "$5$", "$6$", "$y$", "$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(inner, prefix) {
			return Parse(inner)
		}
	}
	return nil, ErrUnknown
}
