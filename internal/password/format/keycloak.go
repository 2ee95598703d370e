package format

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A Keycloak export holds, for each password, an object with credentialData and secretData, both JSON in a string. It
// is taken as it stands, or with both as objects:
//
//	{"credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\"}","secretData":"{\"value\":\"…\",\"salt\":\"…\"}"}
type keycloakCredential struct {
	CredentialData json.RawMessage `json:"credentialData"`
	SecretData     json.RawMessage `json:"secretData"`
}

type keycloakParameters struct {
	Iterations int64  `json:"hashIterations"`
	Algorithm  string `json:"algorithm"`
	// Additional holds lists of one value each.
	Additional map[string][]string `json:"additionalParameters"`
}

type keycloakSecret struct {
	Value string `json:"value"`
	Salt  string `json:"salt"`
}

func parseKeycloak(encoded string) (Hash, error) {
	var c keycloakCredential
	if json.Unmarshal([]byte(encoded), &c) != nil {
		return nil, ErrUnknown // a brace and nothing that follows it is known
	}
	var parameters keycloakParameters
	var secret keycloakSecret
	if unpack(c.CredentialData, &parameters) != nil || unpack(c.SecretData, &secret) != nil {
		return nil, ErrMalformed
	}
	salt, err := standard(secret.Salt, 8, 128)
	if err != nil {
		return nil, err
	}
	key, err := standard(secret.Value, 16, 64)
	if err != nil {
		return nil, err
	}
	if parameters.Algorithm == "argon2" {
		return keycloakArgon2(parameters, salt, key)
	}
	digest, found := map[string]string{"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}[parameters.Algorithm]
	if !found {
		return nil, ErrUnknown
	}
	h, err := newPBKDF2(digest)
	if err != nil {
		return nil, err
	}
	h.salt, h.key = salt, key
	h.iterations, err = number(strconv.FormatInt(parameters.Iterations, 10), 1, pbkdf2MaxIterations)
	return h, err
}

// unpack reads a value that may be JSON in a string.
func unpack(raw json.RawMessage, into any) error {
	if strings.HasPrefix(string(raw), `"`) {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		raw = json.RawMessage(text)
	}
	return json.Unmarshal(raw, into)
}

func keycloakArgon2(k keycloakParameters, salt, key []byte) (Hash, error) {
	value := func(name string) string {
		if list := k.Additional[name]; len(list) == 1 {
			return list[0]
		}
		return ""
	}
	kind := value("type")
	if kind != "id" && kind != "i" || value("version") != "1.3" {
		return nil, ErrUnknown
	}
	return newArgon2(kind == "id", value("memory"), strconv.FormatInt(k.Iterations, 10), value("parallelism"), salt, key)
}
