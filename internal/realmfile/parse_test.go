package realmfile_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

const longSecret = "0123456789abcdef0123456789abcdef"

func parse(content string) (realmfile.File, error) {
	env := map[string]string{"SECRET": longSecret, "DIGITS": "12345678901234567890123456789012", "ON": "true", "NAME": "${env:SECRET}"}
	return realmfile.Parse([]byte(content), "realm.yaml", realmfile.Lookup{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		File: func(path string) ([]byte, error) {
			if path == "secret.txt" {
				return []byte(longSecret + "\n"), nil
			}
			return nil, os.ErrNotExist
		},
	})
}

func TestParse(t *testing.T) {
	t.Parallel()

	for _, c := range []struct{ name, content, want string }{
		{"an empty file", "", "realm.yaml:1:1: the file is empty."},
		{"what is not YAML, without showing it", "realm: demo\nusers: [hunter2", "realm.yaml:1:1: is not YAML: see line"},
		{"a second document", "realm: demo\n---\nrealm: other", "holds more than one document"},
		{"a file without a realm", "name: Demo", "the realm's slug is missing"},
		{"a reserved slug", "realm: system", `realm.yaml:1:8: realm: slug "system" is reserved.`},
		{
			"an unknown key, with the nearest one", "realm: demo\napplications:\n  - client_id: web\n    redirect_uri: [x]",
			"realm.yaml:4:5: applications[0].redirect_uri: is not known. Did you mean redirect_uris?",
		},
		{"a key that occurs twice", "realm: demo\nname: A\nname: B", "realm.yaml:3:1: name: occurs twice."},
		{"a list where a text belongs", "realm: demo\nname: [A]", "realm.yaml:2:7: name: is not a text."},
		{"a number where a text belongs", "realm: demo\nname: 12", "realm.yaml:2:7: name: is not a text. Put it in quotes."},
		{"a text where a list belongs", "realm: demo\nhosts: a.example", "realm.yaml:2:8: hosts: is not a list."},
		{"a text where a switch belongs", "realm: demo\nflags: {ENABLE_MFA: \"true\"}", "flags.ENABLE_MFA: is not true or false."},
		{"a key without a value", "realm: demo\nhosts:", "hosts: has no value. Leave the line out"},
		{"anchors", "realm: demo\nname: &a A", "anchors and aliases are not read here"},
		{"a bare number as a length of time", "realm: demo\nsettings: {lifetimes: {code: 60}}", "settings.lifetimes.code: is not a text"},
		{
			"a lifetime out of bounds", "realm: demo\nsettings:\n  lifetimes:\n    access_token: 1h",
			"realm.yaml:4:19: settings.lifetimes.access_token: is 1h; allowed are 30s to 15m.",
		},
		{"a start address that is a script", "realm: demo\nsettings: {start_url: \"javascript:alert(1)\"}", "settings.start_url: "},
		{"a host with a port", "realm: demo\nhosts: [\"a.example:1\"]", `hosts: host "a.example:1"`},
		{"an unknown algorithm", "realm: demo\nkeys: {algorithms: [none]}", `keys: algorithms has "none"`},
		{"an application without an id", "realm: demo\napplications: [{name: Web}]", "applications[0]: client_id is missing."},
		{"a client_id that occurs twice", "realm: demo\napplications: [{client_id: a}, {client_id: a}]", "is the same as in line 2"},
		{"an issuer without subjects", "realm: demo\napplications: [{client_id: a, trusted_issuers: [{issuer: x, jwks_uri: \"https://x.example\"}]}]", "trusted_issuers[0] needs subjects"},
		{"a short secret, without showing it", "realm: demo\napplications: [{client_id: a, secrets: [hunter2]}]", "applications[0].secrets[0]: has fewer than 32 characters"},
		{"secrets beside generate_secret", "realm: demo\napplications: [{client_id: a, generate_secret: true, secrets: []}]", "stands beside generate_secret"},
		{"a secret of a public application", "realm: demo\napplications: [{client_id: a, token_endpoint_auth_method: none, generate_secret: true}]", "has no secret"},
		{"a person without a name", "realm: demo\nusers: [{enabled: true}]", "users[0]: has neither username nor email."},
		{"a user name that is an address", "realm: demo\nusers: [{username: a@b.example}]", "users[0].username: is no user name"},
		{"people whose names differ in case only", "realm: demo\nusers: [{username: Ana}, {username: ANA}]", "users[1].username: is the same as in line 2"},
		{"two kinds of password", "realm: demo\nusers: [{username: a, password: x, generate_password: true}]", "stands beside password"},
		{"a password that is too short for any realm", "realm: demo\nusers: [{username: a, password: hunter2}]", "users[0].password: is shorter than the 8 characters"},
		{"a password that is too short for this one", "realm: demo\nsettings: {password: {min_length: 20}}\nusers: [{username: a, password: 0a0a0a0a0a}]", "shorter than the 20 characters"},
		{"a hash of an unknown kind", "realm: demo\nusers: [{username: a, password_hash: $6$hunter2}]", "users[0].password_hash: cannot be imported"},
		{"a claim that is no birthday", "realm: demo\nusers:\n  - username: a\n    claims:\n      birthdate: soon", "realm.yaml:5:18: users[0].claims.birthdate: write YYYY-MM-DD"},
		{"a subject that is a client_id", "realm: demo\napplications: [{client_id: a}]\nusers: [{username: a, subject: a}]", "users[0].subject: is the client_id in line 2"},
		{"an undefined variable", "realm: demo\nname: ${env:NOPE}", "realm.yaml:2:7: name: the environment variable NOPE is not defined."},
		{"a file that is not there", "realm: demo\nname: ${file:nope}", "name: the file nope cannot be read"},
		{"an unknown kind of reference", "realm: demo\nname: ${NOPE}", "is neither ${env:NAME} nor ${file:path}"},
		{"a reference without an end", "realm: demo\nname: ${env:SECRET", "has no closing }"},
	} {
		t.Run("refuses "+c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(c.content)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
			var invalid realmfile.InvalidError
			require.ErrorAs(t, err, &invalid)
		})
	}

	t.Run("accepts references for any type, and $${ for itself", func(t *testing.T) {
		t.Parallel()
		for _, content := range []string{
			"realm: demo\nflags: {ENABLE_MFA: \"${env:ON}\"}",
			"realm: demo\nflags: {ENABLE_MFA: null}",
			"realm: demo\nname: Acme $${env:NOPE}",
			"realm: demo\nname: ${env:NAME}", // what comes in is not looked at again
			"realm: demo\napplications: [{client_id: a, secrets: [\"${env:DIGITS}\", \"${file:secret.txt}\"]}]",
			"realm: demo\nsettings: {password: {min_length: 8}}\nusers: [{username: a, password: 0a7q9w2z}]",
		} {
			_, err := parse(content)
			require.NoError(t, err, content)
		}
	})

	t.Run("assumes the best of what only the realm can tell", func(t *testing.T) {
		t.Parallel()
		f, err := parse("realm: demo\napplications: [{client_id: app, redirect_uris: [\"com.example.app:/cb\"]}, {client_id: api, pkce: optional}]")
		require.NoError(t, err)
		require.Equal(t, "demo", f.Realm())
		_, err = parse("realm: demo\napplications: [{client_id: worker, grant_types: [\"urn:ietf:params:oauth:grant-type:jwt-bearer\"]}, " +
			"{client_id: pod, trusted_issuers: [{issuer: x, subjects: [y], jwks_uri: \"https://x.example\"}]}]")
		require.NoError(t, err, "a stored one may be registered for private_key_jwt")
	})

	t.Run("reports everything at once, in the order of the file", func(t *testing.T) {
		t.Parallel()
		_, err := parse("realm: demo\nsettings: {lifetimes: {code: 1h}}\napplications:\n  - client_id: a b\n    pkce: never\nusers:\n  - email: nobody")
		require.Error(t, err)
		lines := strings.Split(err.Error(), "\n")
		require.Len(t, lines, 4, err.Error())
		for i, line := range []int{2, 4, 5, 7} {
			require.Contains(t, lines[i], fmt.Sprintf("realm.yaml:%d:", line))
		}
	})
}

// TestAZ02 covers the realm file's way into the registration of redirect addresses.
func TestAZ02_TheRealmFileRefusesUnsafeRedirectAddresses(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://*.acme.example/cb", "https://acme.example/cb#x", "https://me@acme.example/cb", "javascript:alert(1)", "data:text/html,x",
		"file:///etc/passwd", "vbscript:x", "http://acme.example/cb", "https://acme.example/a b", "myapp:/cb", "/cb", "",
	} {
		_, err := parse(fmt.Sprintf("realm: demo\napplications:\n  - client_id: app\n    redirect_uris: [%q]", uri))
		require.ErrorContains(t, err, "realm.yaml:4:21: applications[0].redirect_uris: ", uri)
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/s.txt", []byte("x\r\n"), 0o600))
	l := realmfile.System(dir)
	for _, path := range []string{"s.txt", dir + "/s.txt"} {
		content, err := l.File(path)
		require.NoError(t, err)
		require.Equal(t, "x\r\n", string(content))
	}
	_, err := l.File("none")
	require.ErrorIs(t, err, os.ErrNotExist)
}
