package realmfile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

func TestPW08_HashesOfOtherSystemsAreBroughtAlong(t *testing.T) {
	t.Parallel()
	// Of "correct horse battery staple"; package format says who made them.
	weak := map[string]string{
		"crypt":    `$6$saltsaltsaltsalt$csoGsaC3yxEIvMdVpxO2zEQlhCHi/6pnPVKHT3nfribhRDnEOL4O5nnsAETH/r6rG0vxiN/wRElsAf4u8CK4d.`,
		"django":   `md5$seasalt$9aa4b8addefd43dbf9340b7540e4e49a`,
		"ldap":     `{SSHA}DBWRbqX3cSCclxsKOz+P12o7cgya07o3`,
		"dotnet":   `AQAAAAIAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+/trQIPvvcZVKxaRBQzPuDfN5Lt/JaBL7Shv2Ux2AzOA==`,
		"phpass":   `$P$9gCQKizZdBlH5MpKkO8YYpD6t9D8aB0`,
		"keycloak": `{"type":"password","secretData":"{\"value\":\"Ca/W1uHPdOF53bPWSQyrHQQPdk6KOe20VTbaw0U+WWswH2gciKNBqwk+H7RPgAmCshFAhVRLSSar72bo1/g8dA==\",\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\",\"additionalParameters\":{}}","credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"}`,
	}
	const oversized = `$6$rounds=1000001$saltsaltsaltsalt$csoGsaC3yxEIvMdVpxO2zEQlhCHi/6pnPVKHT3nfribhRDnEOL4O5nnsAETH/r6rG0vxiN/wRElsAf4u8CK4d.`
	for name, hash := range weak {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			user := fmt.Sprintf("users: [{username: old, password_hash: '%s'}]", hash)
			_, err := b.try(t, "realm: demo\n"+user, realmfile.ApplyOptions{})
			require.ErrorContains(t, err, "users[0].password_hash: cannot be imported: hash parameters are too weak")
			require.ErrorContains(t, err, "settings.password.accept_weak_hashes")
			require.NotContains(t, err.Error(), hash)

			b.apply(t, "realm: demo\nsettings: {password: {accept_weak_hashes: true}}\n"+user)
			require.True(t, b.signsIn(t, b.realm(t, "demo"), "old", "correct horse battery staple"))
		})
	}
	t.Run("never_a_costly_one", func(t *testing.T) {
		t.Parallel()
		_, err := parse("realm: demo\nsettings: {password: {accept_weak_hashes: true}}\nusers: [{username: old, password_hash: '" + oversized + "'}]")
		require.ErrorContains(t, err, "hash parameters are too costly")
	})
}

func TestPW06_TheRealmFilesPasswordsFulfilThePolicy(t *testing.T) {
	t.Parallel()
	for plain, want := range map[string]string{
		"tuqo-wabi-7":         "is shorter than the 12 characters",
		"velocity is not all": "has a word that the realm forbids",
		"tuqo-wabi-lerez":     "has fewer than 1 digits",
	} {
		t.Run(plain, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.apply(t, "realm: demo\nsettings: {password: {forbidden_words: [Velocity]}}")
			settings := ""
			if plain == "tuqo-wabi-lerez" {
				settings = "settings: {password: {min_digits: 1}}\n"
			}
			content := "realm: demo\n" + settings + "users: [{username: ana, email: souza@demo.test, password: " + plain + "}]"
			f, err := parse(content)
			if err == nil { // what only the stored settings tell
				_, err = b.applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
			}
			require.ErrorContains(t, err, "users[0].password: "+want)
			require.NotContains(t, err.Error(), plain)
		})
	}
}

// TestPW06_HowEasilyAFilesPasswordsAreGuessedIsTheOperatorsJudgement: a file also imports hashes, of which nobody knows.
func TestPW06_HowEasilyAFilesPasswordsAreGuessedIsTheOperatorsJudgement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, plain := range []string{"password2024", "ana.souza.1990", "monkeydragon12"} {
		b.apply(t, fmt.Sprintf("realm: demo\nusers: [{username: ana%d, email: souza%d@demo.test, password: %s}]", i, i, plain))
	}
}

func TestPW13_AFileSetsAnotherPasswordWhenAOneTimeOneExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.apply(t, "realm: demo\nusers: [{username: ana, generate_password: true}]")
	r := b.realm(t, "demo")
	ana := b.person(t, r, "ana")
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
		return password.SetTemporary(t.Context(), tx, ana.ID, "given", b.Clock.Now().Add(time.Hour), b.Clock.Now())
	}))
	b.Clock.Advance(time.Hour)
	require.Empty(t, b.apply(t, "realm: demo\nusers: [{username: ana, generate_password: true}]").Changes, "there is one, if it does not work any more")
	b.apply(t, "realm: demo\nusers: [{username: ana, password: wandering kelvin otter}]")
	require.True(t, b.signsIn(t, r, "ana", "wandering kelvin otter"))
}
