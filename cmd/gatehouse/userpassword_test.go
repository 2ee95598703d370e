package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUserOneTimePassword(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	const printed = `One-time password, shown this once: [0-9a-z]{5}(-[0-9a-z]{5}){3}\nIt works until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC and must be changed at the first sign-in\.\n`
	t.Run("comes_with_the_account", func(t *testing.T) {
		require.Regexp(t, `^Made an account with subject \S+\.\n`+printed+`$`, u.ok(t, "", "user create acme --username ann --temporary"))
	})
	t.Run("replaces_another_password_and_reads_nothing", func(t *testing.T) {
		require.Regexp(t, `^ann has a new password\.\n`+printed+`$`, u.ok(t, "", "user set-password acme ann --temporary"))
	})
	t.Run("is_shown_as_such", func(t *testing.T) {
		out := u.ok(t, "", "user show acme ann")
		require.Regexp(t, `one-time password +works until \d{4}-`, out)
		require.Regexp(t, `password must change +temporary`, out)
		var d detailsView
		require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user show acme ann -o json")), &d))
		require.NotNil(t, d.Password.Until)
		require.EqualValues(t, "temporary", d.Password.MustChange)
	})
	t.Run("lasts_three_days_or_what_is_said", func(t *testing.T) {
		for flag, life := range map[string]time.Duration{"": 3 * 24 * time.Hour, " --valid-for 90m": 90 * time.Minute} {
			var reset resetView
			before := time.Now()
			require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user set-password acme ann -o json --temporary"+flag)), &reset))
			require.WithinRange(t, reset.OneTime.ExpiresAt, before.Add(life), time.Now().Add(life))
			require.True(t, reset.Changed)
		}
		var made madeView
		require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user create acme --username bob --temporary -o json")), &made))
		require.Len(t, made.OneTime.Password, 23)
		require.Nil(t, made.Invitation)
	})
	t.Run("is_not_for_ever", func(t *testing.T) {
		for flags, says := range map[string]string{
			"--temporary --valid-for 31d": "Give 1m to 30d.", "--temporary --valid-for 1s": "Give 1m to 30d.", "--temporary --valid-for soon": "not a length of time",
			"--valid-for 1d": "Give --temporary too.",
		} {
			for _, line := range []string{"user set-password acme ann ", "user create acme --username eve "} {
				r := u.run(t, "", line+flags)
				require.Equal(t, exitUsage, r.status, line+flags)
				require.Contains(t, r.stderr, says)
			}
		}
	})
}

func TestUserForcePasswordChange(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	u.ok(t, "correct horse battery staple\n", "user create acme --username ann --password-stdin")
	u.ok(t, "", "user create acme --username bob")
	require.Equal(t, "ann must choose another password.\n", u.ok(t, "", "user force-password-change acme ann"))
	require.Equal(t, "ann has no password, or was to choose another one already.\n", u.ok(t, "", "user force-password-change acme ann --reason admin"))
	require.Equal(t, "ann must choose another password.\n", u.ok(t, "", "user force-password-change acme ann --reason breach"))
	require.Regexp(t, `password must change +breach`, u.ok(t, "", "user show acme ann"))
	require.Regexp(t, `password +none`, u.ok(t, "", "user show acme bob"))
	require.JSONEq(t, `{"changed": false, "sessions_ended": 0, "grants_ended": 0}`, u.ok(t, "", "user force-password-change acme bob -o json"))
	r := u.run(t, "", "user force-password-change acme ann --reason temporary")
	require.Equal(t, exitUsage, r.status)
	require.Contains(t, r.stderr, "Give admin, breach or policy.")
	require.Equal(t, exitFailed, u.run(t, "", "user force-password-change acme nobody").status)
}
