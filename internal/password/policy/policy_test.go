package policy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/trustelem/zxcvbn/frequency"

	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func of(rules realm.PasswordPolicy) policy.Policy { return policy.New(rules, "Acme Bikes", "acme") }

// broken names the rules that a password does not fulfil.
func broken(p policy.Policy, plain string, words ...string) []string {
	rules := []string{}
	for _, v := range p.Check(plain, policy.Person{Words: words}) {
		rules = append(rules, v.Rule)
	}
	return rules
}

func TestPW01_TheRealmChoosesTheLength(t *testing.T) {
	t.Parallel()
	const long = "tuqo-wabi-7-lerez-omk" // 21 characters
	for least, short := range map[int]int{0: 11, 8: 7, 15: 14, 21: 20} {
		p := of(realm.PasswordPolicy{MinLength: least})
		v := p.Check(long[:short], policy.Person{})
		require.Len(t, v, 1)
		require.Equal(t, policy.Violation{Rule: policy.Length, Key: "password.broken.length", Params: map[string]any{"n": short + 1}}, v[0])
		require.Empty(t, broken(p, long[:short+1]))
	}
	require.Equal(t, []string{policy.Length}, broken(of(realm.PasswordPolicy{}), strings.Repeat("e\u0301", 3)+"kq7w-zu2"), "characters are counted after normalisation")
}

func TestPW02_LongPasswordsAreWelcome(t *testing.T) {
	t.Parallel()
	p := of(realm.PasswordPolicy{})
	long := "tuqo wabi lerez omk " + strings.Repeat("ñ", 236)
	require.Empty(t, broken(p, long))
	require.Equal(t, []string{policy.Longest}, broken(p, long+"x"))
	require.Equal(t, []string{policy.Text}, broken(p, "caf\xe9 is latin-1"))
}

func TestPW04_KindsOfCharactersAreAskedForOnlyWhenSwitchedOn(t *testing.T) {
	t.Parallel()
	require.Empty(t, broken(of(realm.PasswordPolicy{}), "all in lower case here"))
	require.Empty(t, broken(of(realm.PasswordPolicy{}), "ЯБЛОКО КРАСНОЕ СПЕЛОЕ"))
	p := of(realm.PasswordPolicy{MinUpper: 2, MinLower: 3, MinDigits: 1, MinSymbols: 1})
	for plain, want := range map[string][]string{
		"tuqowabilerezomk":  {policy.Upper, policy.Digits, policy.Symbols},
		"TuqowaBilerezomk":  {policy.Digits, policy.Symbols},
		"TuqowaBilerezomk7": {policy.Symbols},
		"TuqowaBi lerez7mk": {}, // a space is a symbol
		"ÑuqowaÉi-lerez٧mk": {}, // letters and digits are those of any script
		"TUQOWABI-LEREZ7MK": {policy.Lower},
		"語語語語語語語語語語語語語語":    {policy.Upper, policy.Lower, policy.Digits, policy.Symbols},
	} {
		got := broken(p, plain)
		if len(want) > 1 && got[len(got)-1] == policy.Strength {
			got = got[:len(got)-1]
		}
		require.Equal(t, want, got, plain)
	}
	for _, v := range p.Check("tuqowabilerezomk", policy.Person{}) {
		require.Contains(t, v.Params, "n")
	}
}

func TestPW06_CommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	common := frequency.FrequencyLists["passwords"]
	t.Run("with_the_laxest_rules_each_that_is_long_enough", func(t *testing.T) {
		t.Parallel()
		p, refused := of(realm.PasswordPolicy{MinLength: 8, MinStrength: 1}), 0
		for _, plain := range common {
			if len(plain) >= 8 && refused < 4000 {
				require.Equal(t, []string{policy.Common}, broken(p, strings.ToUpper(plain)), plain)
				refused++
			}
		}
		require.GreaterOrEqual(t, refused, 3000)
	})
	t.Run("by_default_more_than_3000_that_fit_the_policy", func(t *testing.T) {
		t.Parallel()
		p, refused := of(realm.PasswordPolicy{}), 0
		for _, word := range common[:5000] {
			for plain := word; len(plain) < 24; plain += word {
				if len(plain) >= 12 { // people make short ones longer by typing them again
					require.NotEmpty(t, broken(p, plain), plain)
					refused++
				}
			}
		}
		require.GreaterOrEqual(t, refused, 3000)
	})
	t.Run("also_with_something_around_them", func(t *testing.T) {
		t.Parallel()
		for _, plain := range []string{"password2024", "Football2024!", "123dragon!!!", "iloveyou1234", "¡Superman99!"} {
			require.Equal(t, []string{policy.Common}, broken(of(realm.PasswordPolicy{MinStrength: 1}), plain), plain)
		}
	})
	t.Run("but_not_as_words_among_others", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, broken(of(realm.PasswordPolicy{}), "dragon fruit at the market"))
	})
}

func TestPW06_WordsThatGoWithTheAccountAreRefused(t *testing.T) {
	t.Parallel()
	p := of(realm.PasswordPolicy{ForbiddenWords: []string{"Velocity"}})
	who := []string{"maria.silva@example.test", "María José Silva", "msilva77"}
	for plain, want := range map[string][]string{
		"mariasilva1990":                    {policy.Personal},
		"Silva.Maria.7":                     {policy.Personal},
		"msilva77-2026":                     {policy.Personal},
		"maria.silva@example.test":          {policy.Personal},
		"AcmeBikes-2026":                    {policy.Personal},
		"acmeacme4711":                      {policy.Personal},
		"my velocity is 88 mph":             {policy.Forbidden},
		"maria goes to the beach in winter": {},
		"the acme of perfection, surely":    {},
	} {
		require.Equal(t, want, broken(p, plain, who...), plain)
	}
	require.Empty(t, broken(p, "wandering-kelvin-otter", "ann@example.test"))
	v := p.Check("my VELOCITY is 88 mph", policy.Person{})
	require.Equal(t, map[string]any{"word": "Velocity"}, v[0].Params)
}

func TestStrength(t *testing.T) {
	t.Parallel()
	for plain, score := range map[string]int{
		"aaaaaaaaaaaa": 0, "abcdefghijkl": 0, "123qwe123qwe": 0, "qwertyuiopasdf": 1, "dragonmonkey": 1,
		"correct horse battery staple": 4, "contraseña segura de verdad": 4,
	} {
		for least := 1; least <= 4; least++ {
			got := broken(of(realm.PasswordPolicy{MinStrength: least}), plain)
			require.Equal(t, score < least, len(got) > 0, "%s with %d: %v", plain, least, got)
		}
	}
	t.Run("looks_at_no_more_than_it_can_afford", func(t *testing.T) {
		t.Parallel()
		// 900 characters would take the library ten seconds; the test ends at all because they are cut.
		for _, unit := range []string{"a1!", "ж", "1990"} {
			require.NotPanics(t, func() { broken(of(realm.PasswordPolicy{}), strings.Repeat(unit, 256/len([]rune(unit)))) })
		}
	})
}

func TestPW05_PasswordsExpireOnlyWhereRotationIsForced(t *testing.T) {
	t.Parallel()
	on, off := true, false
	changed := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	age := 90 * 24 * time.Hour
	for flag, want := range map[*bool]bool{nil: false, &off: false, &on: true} {
		p := policy.Of(realm.Realm{Facts: &realm.Facts{Settings: realm.Settings{}.WithDefaults(), Flags: realm.Flags{ForcePasswordRotation: flag}}})
		require.False(t, p.Expired(changed, changed.Add(age-time.Second)))
		require.Equal(t, want, p.Expired(changed, changed.Add(age)))
		require.False(t, p.Expired(time.Time{}, changed), "who has no password need not change it")
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	p := of(realm.PasswordPolicy{MinLength: 16, MinUpper: 1, MinDigits: 2, MinSymbols: 1, History: 5, ForbiddenWords: []string{"secret project"}})
	require.Equal(t, []policy.Requirement{
		{Rule: policy.Length, Key: "password.rule.length", Params: map[string]any{"n": 16}},
		{Rule: policy.Upper, Key: "password.rule.upper", Params: map[string]any{"n": 1}},
		{Rule: policy.Digits, Key: "password.rule.digits", Params: map[string]any{"n": 2}},
		{Rule: policy.Symbols, Key: "password.rule.symbols", Params: map[string]any{"n": 1}},
		{Rule: policy.Reused, Key: "password.rule.reused", Params: map[string]any{"n": 5}},
		{Rule: policy.Common, Key: "password.rule.common"},
		{Rule: policy.Personal, Key: "password.rule.personal"},
	}, p.Requirements())
	require.Equal(t, "minlength: 16; maxlength: 256; required: upper; required: digit; required: special; allowed: ascii-printable;", p.PasswordRules())
	require.Equal(t, "minlength: 12; maxlength: 256; allowed: ascii-printable;", of(realm.PasswordPolicy{}).PasswordRules())
	require.Equal(t, map[string]any{"n": 5}, p.AlreadyUsed().Params)
	require.Equal(t, 1, of(realm.PasswordPolicy{}).History(), "the current one may never be the next")
}

// TestTexts: what is shown must have been written, in every language.
func TestTexts(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"en", "es", "pt-BR"} {
		content, err := os.ReadFile("../../../templates/locales/" + locale + ".json")
		require.NoError(t, err)
		var texts map[string]any
		require.NoError(t, json.Unmarshal(content, &texts))
		for _, rule := range []string{
			policy.Length, policy.Longest, policy.Text, policy.Upper, policy.Lower, policy.Digits, policy.Symbols, policy.Forbidden,
			policy.Personal, policy.Common, policy.Strength, policy.Leaked, policy.Reused,
		} {
			require.Contains(t, texts, "password.broken."+rule, locale)
		}
		everything := of(realm.PasswordPolicy{MinUpper: 1, MinLower: 1, MinDigits: 1, MinSymbols: 1, History: 1})
		for _, r := range everything.Requirements() {
			require.Contains(t, texts, r.Key, locale)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, plain := range []string{"", "Password1!", "María", "a1!a1!a1!", "\u0130stanbul", "\xff", "1990-02-29", "((((a{[<", "ßẞſ"} {
		f.Add(plain, "maria@example.test")
	}
	p := of(realm.PasswordPolicy{MinUpper: 1, ForbiddenWords: []string{"Velocity"}})
	f.Fuzz(func(t *testing.T, plain, word string) {
		for _, v := range p.Check(plain, policy.Person{Words: []string{word}}) {
			require.True(t, strings.HasPrefix(v.Key, "password.broken."))
		}
	})
}
