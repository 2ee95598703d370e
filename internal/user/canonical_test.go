package user_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/internal/attempt"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

func TestID01_EverySpellingHasOneCanonicalForm(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"alice":                        {"alice", "Alice", "ALICE", "  alice ", "\u00a0alice\u3000", "ａｌｉｃｅ", "𝐀𝓁𝕚𝖼𝚎", "ⓐⓛⓘⓒⓔ"},
		"office":                       {"office", "oﬃce", "OFFICE", "o\ufb03ce"},
		"andré":                        {"andré", "andre\u0301", "ANDRÉ", "ANDRE\u0301"},
		"strasse":                      {"straße", "STRASSE", "STRAẞE", "strasse"},
		"σίσυφοσ":                      {"ΣΊΣΥΦΟΣ", "Σίσυφος", "σίσυφοσ"},
		"i\u0307zmir":                  {"İzmir", "I\u0307zmir", "i\u0307zmir"},
		"izmir":                        {"izmir", "Izmir", "IZMIR"},
		"kelvin":                       {"\u212aelvin", "Kelvin"},
		"ångström":                     {"\u212bngström", "Ångström", "A\u030angstro\u0308m"},
		"a.b+c@example.com":            {"A.B+C@Example.COM", " a.b+c@example.com ", "a.b+c＠example。com", "ａ.ｂ+ｃ@ｅxample．com", "a.b+c﹫example.com"},
		"hi@xn--bcher-kva.test":        {"Hi@bücher.test", "hi@BÜCHER.TEST", "hi@xn--bcher-kva.test", "hi@XN--BCHER-KVA.test", "hi@bu\u0308cher.test"},
		"x@xn--strae-oqa.test":         {"x@straße.test", "X@STRAẞE.test"},
		"x@strasse.test":               {"x@strasse.test", "x@STRASSE.TEST"},
		"андрей@xn--e1afmkfd.xn--p1ai": {"андрей@пример.рф", "АНДРЕЙ@ПРИМЕР.РФ"},
	} {
		for _, s := range spellings {
			got, err := user.Canonical(s)
			require.NoError(t, err, "%+q", s)
			require.Equal(t, want, got.Canonical, "%+q", s)
			again, err := user.Canonical(got.Canonical)
			require.NoError(t, err)
			require.Equal(t, want, again.Canonical, "idempotent")
		}
	}
}

func TestID01_DifferentNamesStayDifferent(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"izmir", "İzmir"},
		{"izmir", "ızmir"},
		{"alice", "аlice"},
		{"a.b@example.com", "ab@example.com"},
		{"a@example.com", "a+b@example.com"},
		{"x@straße.test", "x@strasse.test"},
		{"alice", "alicé"},
	} {
		a, err := user.Canonical(pair[0])
		require.NoError(t, err)
		b, err := user.Canonical(pair[1])
		require.NoError(t, err)
		require.NotEqual(t, a.Canonical, b.Canonical)
	}
}

func TestID01_TheOriginalIsKeptForDisplay(t *testing.T) {
	t.Parallel()
	got, err := user.Canonical("  Zoë.Müller@Bücher.TEST ")
	require.NoError(t, err)
	require.Equal(t, user.Identifier{
		Kind:      user.KindEmail,
		Canonical: "zoë.müller@xn--bcher-kva.test",
		Display:   "Zoë.Müller@Bücher.TEST",
	}, got)
	got, err = user.Canonical("ZoëM")
	require.NoError(t, err)
	require.Equal(t, user.Identifier{Kind: user.KindUsername, Canonical: "zoëm", Display: "ZoëM"}, got)
}

func TestID02_MalformedIdentifiersAreRefused(t *testing.T) {
	t.Parallel()
	for s, key := range map[string]string{
		"":                                  user.KeyIdentifierEmpty,
		"  \u00a0":                          user.KeyIdentifierEmpty,
		"a@b@example.com":                   user.KeyEmailInvalid,
		"a＠b@example.com":                   user.KeyEmailInvalid,
		`"a@b"@example.com`:                 user.KeyEmailInvalid,
		"@example.com":                      user.KeyEmailInvalid,
		"a@":                                user.KeyEmailInvalid,
		"@":                                 user.KeyEmailInvalid,
		".a@example.com":                    user.KeyEmailInvalid,
		"a..b@example.com":                  user.KeyEmailInvalid,
		"a.@example.com":                    user.KeyEmailInvalid,
		"a,b@example.com":                   user.KeyEmailInvalid,
		"a<b@example.com":                   user.KeyEmailInvalid,
		"a＜b@example.com":                   user.KeyEmailInvalid,
		"a@example..com":                    user.KeyEmailInvalid,
		"a@example.com.":                    user.KeyEmailInvalid,
		"a@.example.com":                    user.KeyEmailInvalid,
		"a@-example.com":                    user.KeyEmailInvalid,
		"a@exa_mple.com":                    user.KeyEmailInvalid,
		"a@[127.0.0.1]":                     user.KeyEmailInvalid,
		"a@xn--ü.test":                      user.KeyEmailInvalid,
		"a@xn--abc-.test":                   user.KeyEmailInvalid,
		"a@example.com\r\nBcc: b@c.test":    user.KeyIdentifierCharacter,
		"a@example.com\n":                   user.KeyIdentifierCharacter,
		"a\r@example.com":                   user.KeyIdentifierCharacter,
		"a\x00b":                            user.KeyIdentifierCharacter,
		"a\tb":                              user.KeyIdentifierCharacter,
		"a\u0085b":                          user.KeyIdentifierCharacter,
		"a\u2028b":                          user.KeyIdentifierCharacter,
		"al\u200bice":                       user.KeyIdentifierCharacter,
		"al\u200dice":                       user.KeyIdentifierCharacter,
		"al\u00adice":                       user.KeyIdentifierCharacter,
		"\u202ealice":                       user.KeyIdentifierCharacter,
		"alice\ufe0f":                       user.KeyIdentifierCharacter,
		"alice\u3164":                       user.KeyIdentifierCharacter,
		"alice\ufeff":                       user.KeyIdentifierCharacter,
		"alice\ue000":                       user.KeyIdentifierCharacter,
		"\u0301alice":                       user.KeyIdentifierCharacter,
		"ali ce":                            user.KeyIdentifierCharacter,
		"a b@example.com":                   user.KeyIdentifierCharacter,
		"caf\xe9":                           user.KeyIdentifierCharacter,
		"+491701234567":                     user.KeyUsernameInvalid,
		strings.Repeat("a", 129):            user.KeyIdentifierTooLong,
		strings.Repeat("a", 1025):           user.KeyIdentifierTooLong,
		strings.Repeat("a", 65) + "@b.test": user.KeyIdentifierTooLong,
		strings.Repeat("é", 33) + "@b.test": user.KeyIdentifierTooLong,
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 95) + "test": user.KeyIdentifierTooLong,
		"a@" + strings.Repeat("b", 64) + ".test":                          user.KeyEmailInvalid,
	} {
		_, err := user.Canonical(s)
		var refused *user.IdentifierError
		require.ErrorAs(t, err, &refused, "%+q", s)
		require.Equal(t, key, refused.Key, "%+q", s)
	}
}

func TestID02_LimitsAreInclusive(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		strings.Repeat("a", 128), strings.Repeat("界", 128), "a",
		strings.Repeat("a", 64) + "@b.test",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "teste", // 254
	} {
		_, err := user.Canonical(s)
		require.NoError(t, err, s)
	}
}

func TestID02_ConstructorsTakeOneKindOnly(t *testing.T) {
	t.Parallel()
	_, err := user.Email("alice")
	require.ErrorContains(t, err, user.KeyEmailInvalid)
	_, err = user.Username("alice@example.com")
	require.ErrorContains(t, err, user.KeyUsernameInvalid)
	require.NotContains(t, err.Error(), "alice", "an error does not repeat what was typed")
	got, err := user.Email("Alice@Example.com")
	require.NoError(t, err)
	require.Equal(t, "alice@example.com", got.Canonical)
	got, err = user.Username("Alice")
	require.NoError(t, err)
	require.Equal(t, "alice", got.Canonical)
}

func TestLG03_SpellingsShareOneCounter(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "one")
	wait := func(typed string) time.Duration {
		got, err := user.Canonical(typed)
		require.NoError(t, err)
		guesses := r.Settings.WithDefaults().Throttling.Passwords
		_, wait, err := attempt.Counters{Now: b.Clock.Now}.Reserve(t.Context(), r, guesses, attempt.Try{Secret: "password", Account: got.Canonical})
		require.NoError(t, err)
		return wait
	}
	for _, s := range []string{"Zoë@Example.com", "ZOË@EXAMPLE.COM", "zoe\u0308@example.com", "ｚｏë@ｅｘａｍｐｌｅ.ｃｏｍ", " zoë@example.com"} {
		require.Zero(t, wait(s))
	}
	require.Equal(t, time.Second, wait("zoë@example.com"), "the five spellings have used up one account's free failures")
	require.Zero(t, wait("zoe@example.com"), "another name has its own")
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"Alice", "ALICE@Example.COM", "İ", "straße@straße.test", "oﬃce", "\u1e9e", "\u0345a", "ᾳ", "a@xn--bcher-kva.test", "a＠b。test", "ŉ", "\u03f4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := user.Canonical(s)
		if err != nil {
			var refused *user.IdentifierError
			require.ErrorAs(t, err, &refused)
			return
		}
		again, err := user.Canonical(got.Canonical)
		require.NoError(t, err, "%+q", got.Canonical)
		require.Equal(t, got.Canonical, again.Canonical)
		require.Equal(t, got.Kind, again.Kind)
		for _, spelling := range []string{got.Display, norm.NFD.String(s), " " + s} {
			other, err := user.Canonical(spelling)
			if len(spelling) <= 1024 {
				require.NoError(t, err, "%+q", spelling)
				require.Equal(t, got.Canonical, other.Canonical, "%+q", spelling)
			}
		}
		require.NotContains(t, got.Canonical, "\n")
		require.NotContains(t, got.Canonical, " ")
		require.Equal(t, got.Kind == user.KindEmail, strings.Count(got.Canonical, "@") == 1)
	})
}

func TestID01_CanonicalIsIdempotentForEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for _, s := range []string{"a" + string(r), "a@b" + string(r) + ".test"} {
			got, err := user.Canonical(s)
			if err != nil {
				continue
			}
			again, err := user.Canonical(got.Canonical)
			if err != nil || again.Canonical != got.Canonical || again.Kind != got.Kind {
				require.Fail(t, "not idempotent", "%+q gives %+q, then %+q, %v", s, got.Canonical, again.Canonical, err)
			}
		}
	}
}
