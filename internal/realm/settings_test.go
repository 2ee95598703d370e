package realm_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

const day = 24 * time.Hour

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	s := realm.Settings{}.WithDefaults()
	require.Equal(t, realm.Lifetimes{
		Code: realm.Duration(time.Minute), AccessToken: realm.Duration(5 * time.Minute), IDToken: realm.Duration(10 * time.Minute),
		SessionIdle: realm.Duration(2 * time.Hour), SessionAbsolute: realm.Duration(12 * time.Hour),
		PersistentIdle: realm.Duration(14 * day), PersistentAbsolute: realm.Duration(30 * day), Flow: realm.Duration(30 * time.Minute),
		RefreshIdle: realm.Duration(14 * day), RefreshAbsolute: realm.Duration(90 * day), SigningKey: realm.Duration(90 * day),
	}, s.Lifetimes)
	require.Equal(t, realm.RateLimits{Client: 20_000, Address: 20_000, Page: 5000}, s.RateLimits)
	require.Equal(t, "en", s.Locale)
	require.Equal(t, 12, s.Password.MinLength)
	require.Empty(t, s.Check(), "the defaults are within their own bounds")

	t.Run("leave what was chosen", func(t *testing.T) {
		chosen := realm.Settings{Locale: "es", Lifetimes: realm.Lifetimes{Code: realm.Duration(10 * time.Second)}, Password: realm.PasswordPolicy{MinLength: 8}}
		s := chosen.WithDefaults()
		require.Equal(t, "es", s.Locale)
		require.Equal(t, realm.Duration(10*time.Second), s.Lifetimes.Code)
		require.Equal(t, 8, s.Password.MinLength)
		require.Zero(t, chosen.Lifetimes.IDToken, "the original is not changed")
	})
}

func TestSettingsBounds(t *testing.T) {
	t.Parallel()
	set := func(change func(l *realm.Lifetimes)) realm.Settings {
		s := realm.Settings{}
		change(&s.Lifetimes)
		return s
	}
	for _, c := range []struct {
		name string
		s    realm.Settings
		says string // "" is allowed
	}{
		{"nothing set", realm.Settings{}, ""},
		{"code of a minute", set(func(l *realm.Lifetimes) { l.Code = realm.Duration(time.Minute) }), ""},
		{"code of more than a minute", set(func(l *realm.Lifetimes) { l.Code = realm.Duration(61 * time.Second) }), "lifetimes.code is 1m1s; allowed are 10s to 1m"},
		{"access token of 15 minutes", set(func(l *realm.Lifetimes) { l.AccessToken = realm.Duration(15 * time.Minute) }), ""},
		{"access token of more", set(func(l *realm.Lifetimes) { l.AccessToken = realm.Duration(16 * time.Minute) }), "allowed are 30s to 15m"},
		{"session of no time", set(func(l *realm.Lifetimes) { l.SessionIdle = realm.Duration(time.Second) }), "lifetimes.session_idle"},
		{"negative", set(func(l *realm.Lifetimes) { l.Flow = realm.Duration(-time.Minute) }), "lifetimes.flow"},
		{"persistent for ever", set(func(l *realm.Lifetimes) { l.PersistentAbsolute = realm.Duration(366 * day) }), "to 365d"},
		{"mails", realm.Settings{Mail: realm.Mail{FromName: "Acme", ReplyTo: "Help <help@acme.example>"}}, ""},
		{"a name of two lines", realm.Settings{Mail: realm.Mail{FromName: "Acme\nBcc: eve@example.net"}}, "mail.from_name: "},
		{"a reply-to of two lines", realm.Settings{Mail: realm.Mail{ReplyTo: "help@acme.example\r\nBcc: eve@example.net"}}, "mail.reply_to: "},
		{"a rate", realm.Settings{RateLimits: realm.RateLimits{Client: 1, Page: 1_000_000}}, ""},
		{"a rate of more", realm.Settings{RateLimits: realm.RateLimits{Address: 1_000_001}}, "rate_limits.address is 1000001; allowed are 1 to 1000000"},
		{"a rate below nothing", realm.Settings{RateLimits: realm.RateLimits{Page: -1}}, "rate_limits.page is -1"},
		{"password of 8", realm.Settings{Password: realm.PasswordPolicy{MinLength: 8}}, ""},
		{"password of 7", realm.Settings{Password: realm.PasswordPolicy{MinLength: 7}}, "password.min_length is 7; allowed are 8 to 256"},
		{"every kind of character", realm.Settings{Password: realm.PasswordPolicy{MinUpper: 1, MinLower: 16, MinDigits: 2, MinSymbols: 1, MinStrength: 4, History: 24}}, ""},
		{"too many capitals", realm.Settings{Password: realm.PasswordPolicy{MinUpper: 17}}, "password.min_upper is 17; allowed are 0 to 16"},
		{"fewer than no digits", realm.Settings{Password: realm.PasswordPolicy{MinDigits: -1}}, "password.min_digits is -1"},
		{"strength of 5", realm.Settings{Password: realm.PasswordPolicy{MinStrength: 5}}, "password.min_strength is 5; allowed are 1 to 4"},
		{"history of 25", realm.Settings{Password: realm.PasswordPolicy{History: 25}}, "password.history is 25; allowed are 0 to 24"},
		{"age of an hour", realm.Settings{Password: realm.PasswordPolicy{MaxAge: realm.Duration(time.Hour)}}, "password.max_age is 1h; allowed are 1d to 730d"},
		{"a source that there is not", realm.Settings{Password: realm.PasswordPolicy{Breached: "yes"}}, `password.breached is "yes"`},
		{"a forbidden word", realm.Settings{Password: realm.PasswordPolicy{ForbiddenWords: []string{"velocity"}}}, ""},
		{"a forbidden letter", realm.Settings{Password: realm.PasswordPolicy{ForbiddenWords: []string{"a"}}}, `password.forbidden_words: "a"`},
		{"too many forbidden words", realm.Settings{Password: realm.PasswordPolicy{ForbiddenWords: slices.Repeat([]string{"word"}, 201)}}, "password.forbidden_words are 201"},
		{"password of 257", realm.Settings{Password: realm.PasswordPolicy{MinLength: 257}}, "password.min_length"},
	} {
		wrong := c.s.Check()
		if c.says == "" {
			require.Empty(t, wrong, c.name)
			continue
		}
		require.Len(t, wrong, 1, c.name)
		require.Contains(t, wrong[0], c.says, c.name)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	t.Run("is written as people write it", func(t *testing.T) {
		t.Parallel()
		for want, d := range map[string]time.Duration{
			"0s": 0, "10s": 10 * time.Second, "1m": time.Minute, "1m30s": 90 * time.Second, "10m": 10 * time.Minute, "1h": time.Hour,
			"1h30m": 90 * time.Minute, "10h": 10 * time.Hour, "12h": 12 * time.Hour, "1d": day, "14d": 14 * day, "36h": 36 * time.Hour,
			"100h0m1s": 100*time.Hour + time.Second, "20h10m": 20*time.Hour + 10*time.Minute, "250ms": 250 * time.Millisecond,
		} {
			require.Equal(t, want, realm.Duration(d).String())
		}
	})
	t.Run("comes back from JSON and YAML", func(t *testing.T) {
		t.Parallel()
		for _, d := range []time.Duration{time.Second, time.Minute, 61 * time.Minute, 25 * time.Hour, 365 * day} {
			text, err := json.Marshal(realm.Duration(d))
			require.NoError(t, err)
			var back realm.Duration
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, realm.Duration(d), back)
			text, err = yaml.Marshal(realm.Duration(d))
			require.NoError(t, err)
			back = 0
			require.NoError(t, yaml.Unmarshal(text, &back))
			require.Equal(t, realm.Duration(d), back)
		}
	})
	t.Run("refuses what is not one", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "5", "-1h", "-1d", "1.5d", "1w", "day", "99999d", "1d12h", "9223372036854775808s"} {
			_, err := realm.ParseDuration(text)
			require.Error(t, err, text)
		}
		var d realm.Duration
		require.Error(t, json.Unmarshal([]byte(`5`), &d), "a number has no unit")
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"14d", "12h", "15m", "90s", "1h30m", "0s", "365d", "1ns", "100h0m1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := realm.ParseDuration(text)
		if err != nil {
			return
		}
		back, err := realm.ParseDuration(d.String())
		require.NoError(t, err, "%q was written %q", text, d)
		require.Equal(t, d, back, "%q was written %q", text, d)
	})
}

func TestFlags(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	f := realm.Flags{EnableMFA: &no}.Or(realm.Flags{EnableMFA: &yes, AllowAutoRegistration: &yes})
	require.False(t, *f.EnableMFA, "a realm's own false is not left open")
	require.True(t, *f.AllowAutoRegistration)
	require.Nil(t, f.ForcePasswordRotation)
}
