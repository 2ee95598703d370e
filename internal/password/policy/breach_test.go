package policy_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
)

const (
	leaked  = "tuqo wabi lerez omk"
	unknown = "wandering kelvin otter"
)

func another(i int) string { return fmt.Sprintf("%d kelvin otters", i) }

func digest(plain string) string {
	sum := sha1.Sum([]byte(plain))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// service stands in for the service of breached passwords, at the edge of the network.
type service struct {
	*httptest.Server
	asked  atomic.Pointer[http.Request]
	answer atomic.Pointer[string]
	status atomic.Int32
}

func serve(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Store(r)
		w.WriteHeader(int(s.status.Load()))
		_, _ = w.Write([]byte(*s.answer.Load()))
	}))
	t.Cleanup(s.Close)
	s.says(digest(leaked)[5:] + ":42")
	return s
}

func (s *service) says(lines ...string) {
	answer := "0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	s.answer.Store(&answer)
}

func (s *service) checker(t *testing.T, log *slog.Logger) *policy.Checker {
	t.Helper()
	var allow config.Destinations
	require.NoError(t, allow.UnmarshalText([]byte(strings.TrimPrefix(s.URL, "http://"))))
	outbound := safehttp.New(safehttp.Options{Allow: allow})
	t.Cleanup(outbound.Close)
	return policy.NewChecker(policy.Options{HTTP: outbound, RangeURL: s.URL + "/", Log: log})
}

func with(source string) realm.Realm {
	return realm.Realm{Facts: &realm.Facts{Slug: "acme", Settings: realm.Settings{Password: realm.PasswordPolicy{Breached: source}}.WithDefaults()}}
}

// requireLeaked tells which password the checker refuses as leaked, and no other.
func requireLeaked(t *testing.T, c *policy.Checker, source string) {
	t.Helper()
	got, err := c.Check(t.Context(), with(source), leaked, policy.Person{})
	require.NoError(t, err)
	require.Equal(t, []policy.Violation{{Rule: policy.Leaked, Key: "password.broken.leaked"}}, got)
	got, err = c.Check(t.Context(), with(source), unknown, policy.Person{})
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestPW06_BreachedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("by_a_service_that_learns_five_digits", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		c := s.checker(t, slog.New(slog.DiscardHandler))
		requireLeaked(t, c, realm.BreachedRange)
		require.Equal(t, policy.Stats{Unknown: 1, Found: 1}, c.Stats())
		asked := s.asked.Load()
		require.Equal(t, "/range/"+digest(unknown)[:5], asked.URL.RequestURI())
		require.Equal(t, "true", asked.Header.Get("Add-Padding"))
		require.Empty(t, asked.Header.Get("Cookie"))
	})
	t.Run("padding_is_none", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		s.says(digest(leaked)[5:] + ":0")
		got, err := s.checker(t, slog.New(slog.DiscardHandler)).Check(t.Context(), with(realm.BreachedRange), leaked, policy.Person{})
		require.NoError(t, err)
		require.Empty(t, got)
	})
	t.Run("nobody_is_asked_where_it_is_off_or_the_password_is_bad_anyway", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		c := s.checker(t, slog.New(slog.DiscardHandler))
		_, err := c.Check(t.Context(), with(realm.BreachedOff), leaked, policy.Person{})
		require.NoError(t, err)
		got, err := c.Check(t.Context(), with(realm.BreachedRange), "short", policy.Person{})
		require.NoError(t, err)
		require.NotEmpty(t, got)
		require.Nil(t, s.asked.Load())
		require.Zero(t, c.Stats())
	})
	t.Run("by_a_list_of_whatever_length", func(t *testing.T) {
		t.Parallel()
		for _, others := range []int{0, 1, 2, 3, 100, 500} {
			for _, ending := range []string{":7\n", "\n", ":123456\r\n"} {
				lines := []string{digest(leaked)}
				for i := range others {
					lines = append(lines, digest(another(i)))
				}
				slices.Sort(lines)
				list := strings.Join(lines, ending) + ending
				for _, text := range []string{list, strings.TrimRight(list, "\r\n"), strings.ToLower(list)} {
					c := policy.NewChecker(policy.Options{List: strings.NewReader(text), ListSize: int64(len(text)), Log: slog.New(slog.DiscardHandler)})
					requireLeaked(t, c, realm.BreachedList)
					require.Equal(t, policy.Stats{Unknown: 1, Found: 1}, c.Stats())
					for i := range others {
						got, err := c.Check(t.Context(), with(realm.BreachedList), another(i), policy.Person{})
						require.NoError(t, err)
						require.Len(t, got, 1)
						require.Equal(t, policy.Leaked, got[0].Rule)
					}
				}
			}
		}
	})
}

func TestPW06_ASourceThatFailsKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.status.Store(http.StatusServiceUnavailable)
	none := policy.Options{}
	junk := policy.Options{List: strings.NewReader(strings.Repeat("x", 4000)), ListSize: 4000}
	for name, c := range map[string]struct {
		source string
		make   func(log *slog.Logger) *policy.Checker
	}{
		"the service answers 503": {realm.BreachedRange, func(log *slog.Logger) *policy.Checker { return s.checker(t, log) }},
		"there is no service":     {realm.BreachedRange, func(log *slog.Logger) *policy.Checker { none.Log = log; return policy.NewChecker(none) }},
		"there is no list":        {realm.BreachedList, func(log *slog.Logger) *policy.Checker { none.Log = log; return policy.NewChecker(none) }},
		"the list is none":        {realm.BreachedList, func(log *slog.Logger) *policy.Checker { junk.Log = log; return policy.NewChecker(junk) }},
	} {
		var log bytes.Buffer
		checker := c.make(slog.New(slog.NewTextHandler(&log, nil)))
		got, err := checker.Check(t.Context(), with(c.source), leaked, policy.Person{})
		require.NoError(t, err, name)
		require.Empty(t, got, name)
		require.Equal(t, policy.Stats{Failed: 1}, checker.Stats(), name)
		require.Contains(t, log.String(), "level=WARN", name)
		require.Contains(t, log.String(), "realm=acme", name)
		require.NotContains(t, log.String(), digest(leaked)[:5], name)
		require.NotContains(t, log.String(), leaked, name)
	}
	t.Run("but_whoever_has_gone_is_not_answered", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := serve(t).checker(t, slog.New(slog.DiscardHandler)).Check(ctx, with(realm.BreachedRange), leaked, policy.Person{})
		require.ErrorIs(t, err, context.Canceled)
	})
}
