package i18n_test

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/templates"
)

func catalogue(t *testing.T) *i18n.Catalogue {
	t.Helper()
	c, err := i18n.New(templates.FS)
	require.NoError(t, err)
	return c.OnMissing(func(locale, key string) { t.Errorf("missing in %s: %s", locale, key) })
}

// raw reads a catalogue file independently of the package.
func raw(t *testing.T, locale string) map[string]map[string]string {
	t.Helper()
	content, err := fs.ReadFile(templates.FS, "locales/"+locale+".json")
	require.NoError(t, err)
	var entries map[string]any
	require.NoError(t, json.Unmarshal(content, &entries))
	lines := regexp.MustCompile(`(?m)^  "`).FindAllString(string(content), -1)
	require.Len(t, entries, len(lines), "a key occurs twice in %s", locale)

	out := map[string]map[string]string{}
	for key, entry := range entries {
		out[key] = map[string]string{}
		switch entry := entry.(type) {
		case string:
			out[key]["other"] = entry
		case map[string]any:
			for form, text := range entry {
				out[key][form] = text.(string)
			}
		}
	}
	return out
}

func placeholders(forms map[string]string) []string {
	var names []string
	for _, text := range forms {
		names = append(names, regexp.MustCompile(`\{\{[^}]*\}\}`).FindAllString(text, -1)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestCatalogues(t *testing.T) {
	t.Parallel()
	english := raw(t, "en")
	require.Greater(t, len(english), 100)

	for _, locale := range []string{"en", "pt-BR", "es"} {
		t.Run(locale, func(t *testing.T) {
			t.Parallel()
			texts := raw(t, locale)
			for key, forms := range english {
				require.Contains(t, texts, key, "%s lacks a text", locale)
				require.Equal(t, placeholders(forms), placeholders(texts[key]), "%s: %s", locale, key)
				require.Equal(t, len(forms) > 1, len(texts[key]) > 1, "%s: %s is a plural in one and not in the other", locale, key)
			}
			for key, forms := range texts {
				require.Contains(t, english, key, "%s has a text that English lacks", locale)
				for form, text := range forms {
					require.NotEmpty(t, strings.TrimSpace(text), "%s: %s %s", locale, key, form)
					require.Equal(t, strings.TrimSpace(text), text, "%s: %s has stray blanks", locale, key)
				}
			}
		})
	}
	t.Run("every_problem_has_a_title_a_text_and_a_help", func(t *testing.T) {
		t.Parallel()
		for _, code := range problem.Codes() {
			key := problem.New(code).MessageKey()
			for _, suffix := range []string{"", ".title", ".help"} {
				require.Contains(t, english, key+suffix)
			}
		}
	})
	t.Run("people_never_read_our_jargon", func(t *testing.T) {
		t.Parallel()
		jargon := regexp.MustCompile(`(?i)\b(realm|client|grant|token|tenant|issuer|redirect|oauth|oidc|cookie jar|flow)s?\b`)
		for key, forms := range english {
			for _, text := range forms {
				require.NotRegexp(t, jargon, text, key)
			}
		}
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	for _, row := range []struct {
		claim       string
		preferences []string
		want        string
	}{
		{"english_is_the_last_resort", nil, "en"},
		{"the_first_preference_wins", []string{"es", "pt-BR"}, "es"},
		{"empty_ones_are_passed_over", []string{"", " ", "pt-BR"}, "pt-BR"},
		{"unknown_languages_are_passed_over", []string{"ja", "es"}, "es"},
		{"nonsense_is_passed_over", []string{"../../etc/passwd", "xx-!!", "a;b,;;q", "es"}, "es"},
		{"a_region_falls_back_to_its_language", []string{"es-MX"}, "es"},
		{"portuguese_of_portugal_is_closer_than_english", []string{"pt-PT"}, "pt-BR"},
		{"ui_locales_are_tried_in_order", []string{"ja pt-BR en"}, "pt-BR"},
		{"accept_language_goes_by_quality", []string{"de;q=0.9, es;q=0.4, pt-BR;q=0.8"}, "pt-BR"},
		{"a_wildcard_alone_decides_nothing", []string{"*,;q=0.5", "es"}, "es"},
		{"english_asked_for_is_english", []string{"en-GB", "es"}, "en"},
		{"one_unreadable_entry_spoils_nothing", []string{"xx-yyyyyyyyyyyy, es;q=0.5"}, "es"},
		{"a_huge_header_is_cut", []string{"es," + strings.Repeat("xx-yy,", 100_000)}, "es"},
		{"a_huge_word_is_passed_over", []string{strings.Repeat("a", 1<<20), "es"}, "es"},
	} {
		t.Run(row.claim, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, c.Match(row.preferences...).Tag())
		})
	}
}

func TestT(t *testing.T) {
	t.Parallel()
	c := catalogue(t)

	t.Run("fills_placeholders", func(t *testing.T) {
		t.Parallel()
		app := map[string]any{"app": "Ledger"}
		require.Equal(t, "Sign in to Ledger", c.Match("en").T("login.title", app))
		require.Equal(t, "Entrar em Ledger", c.Match("pt-BR").T("login.title", app))
		require.Equal(t, "Iniciar sesión en Ledger", c.Match("es").T("login.title", app))
	})
	t.Run("chooses_the_plural_form", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "Try again in 1 second.", c.Match("en").T("error.wait", map[string]any{"n": 1}))
		require.Equal(t, "Try again in 2 seconds.", c.Match("en").T("error.wait", map[string]any{"n": 2}))
		require.Equal(t, "Tente de novo em 0 segundo.", c.Match("pt-BR").T("error.wait", map[string]any{"n": 0}))
		require.Equal(t, "Inténtalo en 0 segundos.", c.Match("es").T("error.wait", map[string]any{"n": int64(0)}))
		require.Equal(t, "Inténtalo en 1000000 segundos.", c.Match("es").T("error.wait", map[string]any{"n": 1_000_000}))
	})
	t.Run("a_count_does_not_disturb_a_text_without_plurals", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "Continue", c.Match("en").T("continue", map[string]any{"n": 1}))
	})
	t.Run("a_value_is_never_read_as_a_template", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "Sign in to {{.app}}", c.Match("en").T("login.title", map[string]any{"app": "{{.app}}"}))
	})
	t.Run("the_zero_locale_shows_the_key", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "login.title", i18n.Locale{}.T("login.title", nil))
	})
}

func TestT_missing(t *testing.T) {
	t.Parallel()
	var reports []string
	c, err := i18n.New(fstest.MapFS{
		"locales/en.json": {Data: []byte(`{"a": "A {{.x}}", "b": {"one": "{{.n}} b", "other": "{{.n}} bs"}}`)},
		"locales/ar.json": {Data: []byte(`{}`)},
	})
	require.NoError(t, err)
	arabic := c.OnMissing(func(locale, key string) { reports = append(reports, locale+" "+key) }).Match("ar")

	require.Equal(t, "A 1", arabic.T("a", map[string]any{"x": 1}), "English stands in")
	require.Equal(t, "1 b", arabic.T("b", map[string]any{"n": 1}))
	require.Equal(t, "no.such", arabic.T("no.such", nil), "then the key")
	require.Equal(t, []string{"ar a", "ar b", "ar no.such"}, reports)
	require.Equal(t, "rtl", arabic.Dir())
	require.Equal(t, "ltr", c.Match("en").Dir())

	reports = nil
	english := c.OnMissing(func(locale, key string) { reports = append(reports, locale+" "+key) }).Match("en")
	require.Equal(t, "A ", english.T("a", nil))
	require.Equal(t, []string{"en a (no value for x)"}, reports)
	require.True(t, english.Has("a"))
	require.False(t, english.Has("z"))
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	for claim, files := range map[string]map[string]string{
		"no_english":                {"es.json": `{"a": "b"}`},
		"a_name_that_is_no_tag":     {"en.json": `{"a": "b"}`, "not a tag.json": `{}`},
		"template_code":             {"en.json": `{"a": "{{printf \"%99999999d\" 1}}"}`},
		"an_open_brace":             {"en.json": `{"a": "{{.app"}`},
		"plurals_without_the_other": {"en.json": `{"a": {"one": "x"}}`},
		"broken_json":               {"en.json": `{`},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for name, text := range files {
				fsys["locales/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			_, err := i18n.New(fsys)
			require.Error(t, err)
		})
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	own, err := c.WithOverrides(map[string]map[string]string{
		"en": {
			"login.submit": "Enter",
			"error.wait":   "Wait {{.n}} s.",
			"login.titel":  "typo",
			"login.title":  "Hello {{.user}}",
			"login.email":  `{{printf "%d" 1}}`,
		},
		"tlh": {"login.submit": "yI'el"},
	})
	require.Equal(t, "Enter", own.Match("en").T("login.submit", nil))
	require.Equal(t, "Wait 1 s.", own.Match("en").T("error.wait", map[string]any{"n": 1}))
	require.Equal(t, "Entrar", own.Match("pt-BR").T("login.submit", nil), "other languages keep ours")
	require.Equal(t, "Password", own.Match("en").T("login.password", nil), "other keys keep ours")
	require.Equal(t, "Sign in", c.Match("en").T("login.submit", nil), "the original is untouched")

	for _, refused := range []string{"login.titel: there is no such text", "{{.user}}", "login.email", "tlh"} {
		require.ErrorContains(t, err, refused)
	}
	require.Equal(t, "E-mail", own.Match("en").T("login.email", nil), "what is refused is left out")
}

func TestDates(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	at := time.Date(2026, time.March, 1, 1, 5, 0, 0, time.UTC)
	minusThree := time.FixedZone("-03", -3*60*60)

	require.Equal(t, "1 March 2026, 01:05 UTC", c.Match("en").DateTime(at, nil))
	require.Equal(t, "28 de fevereiro de 2026, 22:05 UTC-03", c.Match("pt-BR").DateTime(at, minusThree))
	require.Equal(t, "1 de marzo de 2026", c.Match("es").Date(at, time.UTC))
}

func TestLocales_name_themselves(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, locale := range catalogue(t).Locales() {
		names[locale.Tag()] = locale.Name()
	}
	require.Equal(t, map[string]string{"en": "English", "pt-BR": "Português (Brasil)", "es": "Español"}, names)
}

func FuzzMatch(f *testing.F) {
	c, err := i18n.New(templates.FS)
	require.NoError(f, err)
	f.Add("de;q=0.9, es;q=0.4")
	f.Add("pt-BR en")
	f.Fuzz(func(t *testing.T, preference string) {
		require.Contains(t, []string{"en", "pt-BR", "es"}, c.Match(preference).Tag())
	})
}
