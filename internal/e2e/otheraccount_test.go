package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever is signed in and asks for another account gets that one or none: the application never hears of the person
// who was there.
func TestANewAccountBesideASession(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]func(i *instance, b *browser) response{
		"asked for by prompt=create": func(i *instance, b *browser) response {
			return b.authorize(i, "one", authorization("prompt", "create"))
		},
		"asked for instead of another account": func(i *instance, b *browser) response {
			page := b.choose(i, b.authorize(i, "one", authorization("prompt", "select_account")), "another")
			return b.get(i.Issuer("one") + "/signup?tx=" + page.Request.URL.Query().Get("tx"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), open)
			b := signedIn(t, i)
			i.Clock.Advance(time.Second)
			page := b.follow(i, b.answer(form(i, b), "email", "eva@example.test", "new-password", chosenPassword))
			require.Equal(t, "verify-email", at(page), "it waits for the code, whoever is signed in")
			code, _ := i.secrets(t, "eva@example.test")
			back := b.follow(i, b.answer(page, "code", code))
			_, told := userinfo(t, i, "one", token(t, i, "one", exchange(requireCode(t, back))).AccessToken)
			require.Equal(t, "eva@example.test", told["email"])
		})
	}
}

func TestPromptNone_succeeds_once_the_demanded_profile_is_complete(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one")+"settings: {profile: [{claim: given_name, required: true}]}\n")
	require.Empty(t, signedIn(t, i).silent(i)) // ana has one
}
