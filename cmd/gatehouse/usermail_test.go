package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUserInvite(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	const sevenDays = 7 * 24 * time.Hour
	t.Run("comes_with_the_account", func(t *testing.T) {
		r := u.run(t, "", "user create acme --email Ann@example.org --invite")
		require.Zero(t, r.status, r.stderr)
		require.Regexp(t, `(?m)^An invitation to Ann@example\.org is queued; its link works until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.$`, r.stdout)
		require.Contains(t, r.stderr, "No mail server is configured here")
		require.Contains(t, u.ok(t, "", "user show acme ann@example.org"), "(not verified)", "nothing is proved yet")
	})
	t.Run("comes_again_as_long_as_there_is_no_password", func(t *testing.T) {
		var mailed mailedView
		before := time.Now()
		require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user invite acme ANN@example.org -o json")), &mailed))
		require.Equal(t, "Ann@example.org", mailed.To)
		require.WithinRange(t, mailed.ExpiresAt, before.Add(sevenDays).Add(-time.Second), time.Now().Add(sevenDays))
	})
	t.Run("says_nothing_of_mail_servers_where_one_is_configured", func(t *testing.T) {
		with := u
		with.environ = append([]string{"GATEHOUSE_SMTP_URL=smtp://127.0.0.1:2525", "GATEHOUSE_MAIL_FROM=login@example.org"}, u.environ...)
		r := with.run(t, "", "user invite acme ann@example.org")
		require.Zero(t, r.status, r.stderr)
		require.Empty(t, r.stderr)
	})
	t.Run("is_refused_where_there_is_nothing_to_invite_to", func(t *testing.T) {
		u.ok(t, "correct horse battery staple\n", "user create acme --email bob@example.org --password-stdin")
		u.ok(t, "", "user create acme --username carla")
		u.ok(t, "", "user create acme --email dora@example.org")
		u.ok(t, "", "user disable acme dora@example.org")
		for name, says := range map[string]string{
			"bob@example.org": "has a password already", "carla": "has no e-mail address", "dora@example.org": "is disabled or locked", "nobody": "nobody in realm acme",
		} {
			r := u.run(t, "", "user invite acme "+name)
			require.Equal(t, exitFailed, r.status, name)
			require.Contains(t, r.stderr, says)
			require.Contains(t, r.stderr, "mend: ")
		}
	})
	t.Run("needs_an_address_and_stands_alone", func(t *testing.T) {
		for line, says := range map[string]string{
			"--username eve --invite": "Give --email.", "--email e@example.org --invite --temporary": "Give one of",
			"--email e@example.org --password-stdin --temporary": "Give one of",
		} {
			r := u.run(t, "", "user create acme "+line)
			require.Equal(t, exitUsage, r.status, line)
			require.Contains(t, r.stderr, says)
		}
	})
}

func TestUserResendVerification(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	u.ok(t, "", "user create acme --email ann@example.org")
	u.ok(t, "", "user create acme --email bob@example.org --email-verified")
	require.Contains(t, u.ok(t, "", "user resend-verification acme ann@example.org"), "A link to confirm the address to ann@example.org is queued; its link works until ")
	r := u.run(t, "", "user resend-verification acme bob@example.org")
	require.Equal(t, exitFailed, r.status)
	require.Contains(t, r.stderr, "the address is verified already")
}
