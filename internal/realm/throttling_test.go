package realm_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func TestLG01_ThrottlingDefaults(t *testing.T) {
	t.Parallel()
	s := realm.Settings{}.WithDefaults().Throttling
	require.Equal(t, standard(), s.Passwords)
	require.Equal(t, standard(), s.Codes)
	require.Equal(t, limit.Rate{Burst: 5, Every: 5 * time.Minute}, s.Mails.ToAddress.Rate())
	require.Equal(t, limit.Rate{Burst: 30, Every: 20 * time.Second}, s.Mails.FromAddress.Rate())
	require.Equal(t, limit.Rate{Burst: 30, Every: 20 * time.Second}, s.Registrations.Rate())

	t.Run("leave_what_was_chosen", func(t *testing.T) {
		t.Parallel()
		var chosen realm.Settings
		require.NoError(t, json.Unmarshal([]byte(`{"throttling": {"passwords": {"account": {"free": 3, "longest_delay": "1h"}}}}`), &chosen))
		require.Empty(t, chosen.Check())
		want := standard()
		want.Account.Free, want.Account.LongestDelay = 3, realm.Duration(time.Hour)
		require.Equal(t, want, chosen.WithDefaults().Throttling.Passwords)
	})
}

// standard are the figures that package attempt documents.
func standard() realm.Guesses {
	const second, minute, hour = realm.Duration(time.Second), realm.Duration(time.Minute), realm.Duration(time.Hour)
	return realm.Guesses{
		Account: realm.AccountFailures{
			Free: 5, FirstDelay: second, LongestDelay: 15 * minute, HardLimit: 100, HardDelay: 12 * hour, ForgetAfter: 24 * hour,
		},
		Address: realm.AddressFailures{
			Free: 50, FirstDelay: second, LongestDelay: 15 * minute, ForgetOne: 12 * second, ForgetAfter: 24 * hour,
		},
	}
}

func TestLG02_NoRealmSwitchesALimitOff(t *testing.T) {
	t.Parallel()
	for settings, says := range map[string]string{
		`{"passwords": {"account": {"hard_limit": 101}}}`:                         "throttling.passwords.account.hard_limit is 101; allowed are 2 to 100",
		`{"passwords": {"account": {"hard_limit": 5}}}`:                           "throttling.passwords.account.free must be less than hard_limit",
		`{"passwords": {"account": {"free": -1}}}`:                                "throttling.passwords.account.free is -1; allowed are 1 to 20",
		`{"passwords": {"account": {"free": 21}}}`:                                "allowed are 1 to 20",
		`{"codes": {"account": {"first_delay": "1ms"}}}`:                          "throttling.codes.account.first_delay is 1ms; allowed are 1s to 1h",
		`{"passwords": {"account": {"longest_delay": "1s"}}}`:                     "allowed are 1m to 12h",
		`{"passwords": {"account": {"first_delay": "1h"}}}`:                       "throttling.passwords.account.first_delay must be less than longest_delay",
		`{"passwords": {"account": {"hard_delay": "1m"}}}`:                        "allowed are 1h to 7d",
		`{"passwords": {"account": {"hard_delay": "1d"}}}`:                        "throttling.passwords.account.hard_delay must be less than forget_after",
		`{"passwords": {"account": {"forget_after": "1h", "hard_delay": "30m"}}}`: "allowed are 12h to 30d",
		`{"codes": {"address": {"free": 100000}}}`:                                "allowed are 5 to 1000",
		`{"codes": {"address": {"forget_one": "1ms"}}}`:                           "allowed are 1s to 1h",
		`{"codes": {"address": {"forget_after": "10m"}}}`:                         "throttling.codes.address.longest_delay must be less than forget_after",
		`{"mails": {"to_address": {"at_once": 100}}}`:                             "throttling.mails.to_address.at_once is 100; allowed are 1 to 20",
		`{"mails": {"to_address": {"every": "1s"}}}`:                              "allowed are 1m to 1d",
		`{"mails": {"from_address": {"at_once": 1001}}}`:                          "allowed are 1 to 1000",
		`{"registrations": {"every": "1ms"}}`:                                     "throttling.registrations.every is 1ms; allowed are 1s to 1h",
	} {
		var s realm.Settings
		require.NoError(t, json.Unmarshal([]byte(`{"throttling": `+settings+`}`), &s))
		wrong := s.Check()
		require.NotEmpty(t, wrong, settings)
		var all string
		for _, w := range wrong {
			all += w + "\n"
		}
		require.Contains(t, all, says, settings)
	}
}
