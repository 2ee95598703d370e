package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/limit/limittest"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// slowRealm is a realm that allows few requests a second: twice as many at once.
func slowRealm(rates string) string {
	return strings.Replace(servicesFile, "name: One", "name: One\nsettings: {rate_limits: {"+rates+"}}", 1)
}

// ownTokens asks for a token with client credentials.
func ownTokens(t testing.TB, i *instance, id, secret string) response {
	t.Helper()
	return ask(t, i, "/token", id, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})
}

// requireSlowDown expects the answer of an endpoint that programs call too often.
func requireSlowDown(t testing.TB, r response, wait string) {
	t.Helper()
	require.Equal(t, http.StatusTooManyRequests, r.StatusCode, r.Body)
	require.Equal(t, wait, r.Header.Get("Retry-After"))
	require.Contains(t, r.Header.Get("Content-Type"), "application/json")
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.Body), &got))
	require.Equal(t, "slow_down", got["error"])
	require.NotEmpty(t, got["error_description"])
}

func TestRateOfAnApplication(t *testing.T) {
	t.Parallel()
	i := start(t, slowRealm("client: 2"))
	for range 5 { // strangers do not use it up
		require.Equal(t, http.StatusUnauthorized, ownTokens(t, i, "service", "wrong").StatusCode)
	}
	require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode)
	require.Equal(t, http.StatusOK, ask(t, i, "/introspect", "service", webSecret, url.Values{"token": {"x"}}).StatusCode)
	require.Equal(t, http.StatusOK, ask(t, i, "/revoke", "service", webSecret, url.Values{"token": {"x"}}).StatusCode)
	require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode)
	for _, r := range []response{
		ownTokens(t, i, "service", webSecret),
		ask(t, i, "/introspect", "service", webSecret, url.Values{"token": {"x"}}),
		ask(t, i, "/revoke", "service", webSecret, url.Values{"token": {"x"}}),
	} {
		requireSlowDown(t, r, "1")
	}
	require.Equal(t, http.StatusOK, ownTokens(t, i, "api", otherSecret).StatusCode, "another application has a rate of its own")
	i.Clock.Advance(500 * time.Millisecond)
	require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode)
	requireSlowDown(t, ownTokens(t, i, "service", webSecret), "1")
}

func TestRateOfAnAddress(t *testing.T) {
	t.Parallel()
	i := start(t, slowRealm("address: 2"))
	for range 4 {
		require.Equal(t, http.StatusBadRequest, newBrowser(t).post(i.Issuer("one")+"/token", url.Values{"a": {"b"}}, "Authorization", "Basic nonsense").StatusCode/100*100)
	}
	for _, endpoint := range []string{"/token", "/introspect", "/revoke", "/userinfo"} {
		requireSlowDown(t, ask(t, i, endpoint, "service", webSecret, url.Values{}), "1")
	}
	elsewhere := browserFrom(t, "127.0.0.9").post(i.Issuer("one")+"/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", webSecret))
	require.Equal(t, http.StatusOK, elsewhere.StatusCode, elsewhere.Body)
	require.Equal(t, http.StatusOK, newBrowser(t).get(i.Issuer("one")+discovery).StatusCode, "metadata costs nothing")
	require.Equal(t, http.StatusOK, newBrowser(t).get(i.Issuer("one")+"/jwks").StatusCode)
}

func TestRateOfPages(t *testing.T) {
	t.Parallel()
	i := start(t, slowRealm("page: 2"))
	b := newBrowser(t)
	for range 4 {
		require.NotEqual(t, http.StatusTooManyRequests, b.get(i.Issuer("one")+"/authorize").StatusCode)
	}
	for _, path := range []string{"/authorize", "/login", "/end_session"} {
		r := b.getWith(i.Issuer("one")+path, "Accept", "text/html")
		requirePage(t, r, http.StatusTooManyRequests)
		require.Equal(t, "1", r.Header.Get("Retry-After"))
		require.Contains(t, r.Body, "Too many attempts")
	}
	require.NotEqual(t, http.StatusTooManyRequests, browserFrom(t, "127.0.0.9").get(i.Issuer("one")+"/authorize").StatusCode)
	i.Clock.Advance(time.Second)
	require.NotEqual(t, http.StatusTooManyRequests, b.get(i.Issuer("one")+"/authorize").StatusCode)
}

func TestLG01_SecretsOfApplicationsCannotBeGuessed(t *testing.T) {
	t.Parallel()
	t.Run("ten_failures_are_free_and_the_right_one_waits_too", func(t *testing.T) {
		t.Parallel()
		i := start(t, servicesFile)
		for range 10 {
			require.Equal(t, http.StatusUnauthorized, ownTokens(t, i, "service", "wrong").StatusCode)
		}
		requireSlowDown(t, ownTokens(t, i, "service", "wrong"), "10")
		requireSlowDown(t, ownTokens(t, i, "service", webSecret), "10")
		require.Equal(t, http.StatusOK, ownTokens(t, i, "api", otherSecret).StatusCode, "its neighbours are not delayed")
		elsewhere := browserFrom(t, "127.0.0.9").post(i.Issuer("one")+"/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", webSecret))
		require.Equal(t, http.StatusOK, elsewhere.StatusCode, "nor is it elsewhere")

		i.Clock.Advance(10 * time.Second)
		require.Equal(t, http.StatusUnauthorized, ownTokens(t, i, "service", "wrong").StatusCode)
		requireSlowDown(t, ownTokens(t, i, "service", webSecret), "10")
		i.Clock.Advance(10 * time.Second)
		for range 20 {
			require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode, "the right secret ended it")
		}
	})
	t.Run("unknown_applications_count_for_the_address", func(t *testing.T) {
		t.Parallel()
		i := start(t, servicesFile)
		for n := range 100 {
			require.Equal(t, http.StatusUnauthorized, ownTokens(t, i, "nobody"+string(rune('A'+n%50)), "wrong").StatusCode, "%d", n)
		}
		requireSlowDown(t, ownTokens(t, i, "another", "wrong"), "6")
		require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode, "who has never failed goes on")
	})
	t.Run("a_wrong_method_is_no_guess", func(t *testing.T) {
		t.Parallel()
		i := start(t, servicesFile)
		for range 20 { // as libraries do that find out
			r := newBrowser(t).post(i.Issuer("one")+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"service"}, "client_secret": {webSecret}})
			require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		}
		require.Equal(t, http.StatusOK, ownTokens(t, i, "service", webSecret).StatusCode)
	})
	t.Run("in_parallel_too", func(t *testing.T) {
		t.Parallel()
		i := start(t, servicesFile)
		require.Equal(t, http.StatusUnauthorized, ownTokens(t, i, "service", "wrong").StatusCode)
		var tried atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if ownTokens(t, i, "service", "wrong").StatusCode == http.StatusUnauthorized {
					tried.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 9, tried.Load())
	})
}

// sharing runs two processes on one database and one Redis.
func sharing(t *testing.T, files ...string) (one, two *instance, redis *limittest.Redis) {
	t.Helper()
	redis = limittest.StartRedis(t)
	database := testdb.NewURL(t)
	share := func(p *app.Process, _ *app.Options) {
		p.Config.RedisURL = config.NewSecret("redis://" + redis.Addr)
	}
	one, two = startWith(t, database, share, files...), startWith(t, database, share)
	for _, i := range []*instance{one, two} {
		i.work(t)
		require.Eventually(t, func() bool { return strings.Contains(i.Logs.String(), "limits are counted in redis") }, 30*time.Second, 10*time.Millisecond)
	}
	return one, two, redis
}

// Programs are answered as ever while Redis dies and comes back: let in, or asked to wait, and never without a limit.
func TestLG13_ProgramsWhileRedisDiesAndReturns(t *testing.T) {
	t.Parallel()
	one, two, server := sharing(t, servicesFile)
	// wrong counts the secrets that were compared until the answer was to wait. A process counts by itself what Redis
	// answers too late on a busy machine, so that there may be some more.
	wrong := func(by ...*instance) (n int) {
		for ; n < 50; n++ {
			r := ownTokens(t, by[n%len(by)], "service", "wrong")
			if r.StatusCode == http.StatusTooManyRequests {
				return n
			}
			require.Equal(t, http.StatusUnauthorized, r.StatusCode, r.Body)
		}
		return n
	}
	n := wrong(one, two)
	require.GreaterOrEqual(t, n, 10)
	require.Less(t, n, 20, "each has a budget of its own")

	// While Redis dies the callers go on, and each answer is one of those that they know.
	var asked atomic.Int64
	var refused sync.Map
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for n := range 8 {
		i := []*instance{one, two}[n%2]
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status := ownTokens(t, i, "api", otherSecret).StatusCode; status != http.StatusOK && status != http.StatusTooManyRequests {
					refused.Store(status, true)
				}
				asked.Add(1)
			}
		})
	}
	server.Kill()
	for _, i := range []*instance{one, two} {
		require.Eventually(t, func() bool { return gauge(t, i, "gatehouse_limit_fallback_active") == 1 }, 30*time.Second, 10*time.Millisecond)
		require.LessOrEqual(t, wrong(i), 10, "each process counts by itself now")
	}
	server.Start(t)
	for _, i := range []*instance{one, two} {
		require.Eventually(t, func() bool { return gauge(t, i, "gatehouse_limit_fallback_active") == 0 }, 30*time.Second, 10*time.Millisecond)
	}
	close(stop)
	wg.Wait()
	require.Positive(t, asked.Load())
	refused.Range(func(status, _ any) bool {
		t.Errorf("a program was answered %v", status)
		return true
	})
	require.Less(t, wrong(one, two), 20, "one budget again, a new one: Redis has forgotten the old")
}
