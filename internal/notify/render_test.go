package notify

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/templates"
)

// values for every mail.
func values() map[string]string {
	return map[string]string{
		"app": "Ledger", "code": "482913", "code_minutes": "10", "link": "https://id.example.test/realms/acme/verify-email/x1y2?lang=en&next=1",
		"signin": "https://shop.example.test/start", "recover": "https://id.example.test/realms/acme/recover", "new": "a••@example.org", "days": "7", "failures": "6",
	}
}

func facts() *realm.Facts {
	return &realm.Facts{Name: "Acme", Issuer: "https://id.example.test/realms/acme", Settings: realm.Settings{}.WithDefaults()}
}

func renderer(t *testing.T) (*Renderer, *[]string) {
	t.Helper()
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	var missing []string
	r, err := NewRenderer(catalogue.OnMissing(func(locale, key string) { missing = append(missing, locale+" "+key) }), templates.FS)
	require.NoError(t, err)
	return r, &missing
}

func noon() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	t.Parallel()
	r, _ := renderer(t)
	languages := []string{"en", "pt-BR", "es"}
	for i, name := range Templates() {
		language := languages[i%len(languages)]
		t.Run(string(name)+"_"+language, func(t *testing.T) {
			t.Parallel()
			w, err := r.render(facts(), name, values(), noon(), noon().Add(24*time.Hour), language)
			require.NoError(t, err)
			got := "Subject: " + w.subject + "\n\n" + w.text + "\n" + body(t, w.html)
			path := filepath.Join("testdata", string(name)+"."+language+".golden")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// body leaves out the sheet, which is the same everywhere.
func body(t *testing.T, html string) string {
	t.Helper()
	at := strings.Index(html, "<body>")
	require.Positive(t, at)
	return html[at:] + "\n"
}

func TestRender(t *testing.T) {
	t.Parallel()
	t.Run("every mail has all its texts in every language", func(t *testing.T) {
		t.Parallel()
		r, missing := renderer(t)
		for _, name := range Templates() {
			for _, language := range []string{"en", "pt-BR", "es"} {
				w, err := r.render(facts(), name, values(), noon(), noon().Add(time.Hour), language)
				require.NoError(t, err, "%s %s", name, language)
				require.Empty(t, *missing, "%s %s", name, language)
				require.Contains(t, w.html, `<html lang="`+language+`"`)
				require.NotContains(t, w.text+w.html+w.subject, "mail.", "a key instead of a text")
				require.NotRegexp(t, `\n\n\n`, w.text)
			}
		}
	})
	t.Run("what a mail needs is what it says", func(t *testing.T) {
		t.Parallel()
		r, _ := renderer(t)
		for _, name := range Templates() {
			need, _ := name.needs()
			given := map[string]string{}
			for _, v := range append(need.data, need.secrets...) {
				given[v] = values()[v]
			}
			w, err := r.render(facts(), name, given, noon(), noon(), "en")
			require.NoError(t, err, "%s needs more than it says", name)
			for v, value := range given {
				require.Contains(t, w.text, value, "%s does not use %s", name, v)
			}
			for v := range given {
				short := map[string]string{}
				for k, value := range given {
					if k != v {
						short[k] = value
					}
				}
				_, err = r.render(facts(), name, short, noon(), noon(), "en")
				require.Error(t, err, "%s does without %s", name, v)
			}
		}
	})
	t.Run("nothing in a mail is loaded or tells that it was opened", func(t *testing.T) {
		t.Parallel()
		r, _ := renderer(t)
		for _, name := range Templates() {
			w, err := r.render(facts(), name, values(), noon(), noon(), "en")
			require.NoError(t, err)
			require.NotRegexp(t, `(?i)<(img|link|script|iframe|object|video|audio|form|base)\b|src=|url\(|@import|background=`, w.html)
			require.LessOrEqual(t, strings.Count(w.html, `class="button"`), 1)
		}
	})
	t.Run("a person's language comes before the realm's, a wish before both", func(t *testing.T) {
		t.Parallel()
		r, _ := renderer(t)
		of := facts()
		of.Settings.Locale = "es"
		for want, wishes := range map[string][]string{"es": {"", ""}, "pt-BR": {"", "pt-BR"}, "en": {"en", "pt-BR"}} {
			w, err := r.render(of, AccountLocked, nil, noon(), noon(), wishes...)
			require.NoError(t, err)
			require.Contains(t, w.html, `lang="`+want+`"`)
		}
	})
	t.Run("a realm's own words are used", func(t *testing.T) {
		t.Parallel()
		r, _ := renderer(t)
		of := facts()
		of.Settings.Texts = map[string]realm.Text{"en": {"mail.code.subject": "{{.app}}: here it is", "mail.nonsense": "x"}}
		w, err := r.render(of, Code, values(), noon(), noon(), "en")
		require.NoError(t, err)
		require.Equal(t, "Ledger: here it is", w.subject)
	})
}

func TestID02_RenderedValuesStayValues(t *testing.T) {
	t.Parallel()
	r, _ := renderer(t)
	hostile := "Eve\r\nBcc: all@example.org\n\n\u2028\u202e<script>alert(1)</script>\" onload=\"x {{.T}}"
	for _, name := range Templates() {
		given := values()
		for _, v := range []string{"app", "code", "new"} {
			given[v] = hostile
		}
		of := facts()
		of.Name = hostile
		w, err := r.render(of, name, given, noon(), noon(), "en")
		require.NoError(t, err)
		require.NotContains(t, w.html, "<script", name)
		require.NotContains(t, w.html, `" onload`, name)
		require.NotContains(t, w.subject, "\n", name)
		require.NotContains(t, w.text, "\nBcc:", name)
		require.NotContains(t, w.text, "\u202e", name)
	}
	for _, link := range []string{"javascript:alert(1)", "https://id.example.test@evil.example/", "//evil.example", "data:text/html,x", ""} {
		given := values()
		given["link"] = link
		_, err := r.render(facts(), Invitation, given, noon(), noon(), "en")
		require.Error(t, err, "%q", link)
	}
}
