package e2e

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

// told is one form that somebody sends for a name, and the page that it is on.
type told struct {
	page   func(b *browser, i *instance) response
	fields func(name string) []string
	// again has the name asked for once before.
	again bool
}

// BenchmarkLG06_LG08_KnownAndUnknownNames compares how long the server takes over names that somebody has and names
// that nobody has, one after the other in turn:
//
//	go test ./internal/e2e -run '^$' -bench LG06 -benchtime 1000x
//
// It prints means and medians, Welch's t and the z of Mann and Whitney. Either beyond 3 says that the two can be told
// apart by that many tries on this machine, with the network away; t is what an outlier moves.
func BenchmarkLG06_LG08_KnownAndUnknownNames(b *testing.B) {
	login := func(b *browser, i *instance) response { return b.loginPage(i) }
	from := func(step string) func(b *browser, i *instance) response {
		return func(b *browser, i *instance) response { return b.from(i, step) }
	}
	username := func(name string) []string { return []string{"username", name + "@example.test"} }
	register := func(name string) []string {
		return []string{"email", name + "@example.test", "new-password", chosenPassword}
	}
	for _, c := range []struct {
		name, verification string
		told
	}{
		{"login", "true", told{login, func(name string) []string { return append(username(name), "password", "wrong") }, false}},
		{"recovery", "true", told{from("recover"), username, false}},
		{"recovery_again", "true", told{from("recover"), username, true}},
		{"sign-in_code", "true", told{from("email-code"), username, false}},
		{"sign-in_code_again", "true", told{from("email-code"), username, true}},
		{"registration", "true", told{from("signup"), register, false}},
		{"registration_again", "true", told{from("signup"), register, true}},
		{"registration_unproved", "false", told{from("signup"), register, false}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.StopTimer()
			i := start(b, strings.Replace(realmFile("one"), "users:\n", people(b), 1)+
				"flags: {ALLOW_AUTO_REGISTRATION: true, REQUIRE_EMAIL_VERIFICATION: "+c.verification+"}\nsettings: {sign_in: {email_code: true}}\n")
			i.Logs.stop()
			known, unknown := make([]float64, b.N), make([]float64, b.N)
			for n := range b.N {
				ask := func(name string) float64 {
					i.Clock.Advance(time.Minute)
					if c.again {
						i.take(b, c.told, name)
						i.Clock.Advance(time.Minute)
					}
					return i.take(b, c.told, name)
				}
				if n%2 == 0 {
					known[n], unknown[n] = ask(fmt.Sprintf("k%d", n)), ask(fmt.Sprintf("n%d", n))
				} else {
					unknown[n], known[n] = ask(fmt.Sprintf("n%d", n)), ask(fmt.Sprintf("k%d", n))
				}
			}
			compare(b, known, unknown)
		})
	}
}

// people are that many, all of one password, as the beginning of a realm file's list.
func people(b *testing.B) string {
	b.Helper()
	hasher, err := password.New(password.Options{})
	require.NoError(b, err)
	hash, err := hasher.Hash(b.Context(), anaPassword)
	require.NoError(b, err)
	var list strings.Builder
	list.WriteString("users:\n")
	for k := range b.N {
		fmt.Fprintf(&list, "  - {username: k%d, email: k%[1]d@example.test, email_verified: true, password_hash: '%s'}\n", k, hash)
	}
	return list.String()
}

// take is how many microseconds the server takes over a form.
func (i *instance) take(b *testing.B, c told, name string) float64 {
	b.Helper()
	person := newBrowser(b)
	page := c.page(person, i)
	form := url.Values{"csrf": {hidden(b, page.Body, "csrf")}}
	for k, fields := 0, c.fields(name); k < len(fields); k += 2 {
		form.Set(fields[k], fields[k+1])
	}
	req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, page.Request.URL.String(), strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range person.client.Jar.Cookies(page.Request.URL) {
		req.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	began := time.Now()
	i.Handler.ServeHTTP(w, req)
	took := time.Since(began)
	require.Contains(b, []int{http.StatusSeeOther, http.StatusUnprocessableEntity}, w.Code, w.Body.String())
	return float64(took) / float64(time.Microsecond)
}

// compare reports two samples in microseconds.
func compare(b *testing.B, known, unknown []float64) {
	b.Helper()
	mean := func(x []float64) (mean, variance float64) {
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(max(len(x)-1, 1))
		}
		return mean, variance
	}
	median := func(x []float64) float64 { x = slices.Sorted(slices.Values(x)); return x[len(x)/2] }
	mk, vk := mean(known)
	mu, vu := mean(unknown)
	n := float64(len(known))
	for unit, v := range map[string]float64{
		"known-µs": mk, "unknown-µs": mu, "known-median-µs": median(known), "unknown-median-µs": median(unknown),
		"welch-t": (mk - mu) / math.Sqrt(vk/n+vu/n), "mann-whitney-z": mannWhitney(known, unknown), "ns/op": 0,
	} {
		b.ReportMetric(v, unit)
	}
}

// mannWhitney is by how many standard deviations the ranks of one sample are higher than chance has them; ties are as
// good as none among times.
func mannWhitney(x, y []float64) float64 {
	type ranked struct {
		value float64
		first bool
	}
	all := make([]ranked, 0, len(x)+len(y))
	for k := range x {
		all = append(all, ranked{x[k], true}, ranked{y[k], false})
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(a.value, b.value) })
	sum := 0.0
	for rank, r := range all {
		if r.first {
			sum += float64(rank + 1)
		}
	}
	n, m := float64(len(x)), float64(len(y))
	return (sum - n*(n+m+1)/2) / math.Sqrt(n*m*(n+m+1)/12)
}
