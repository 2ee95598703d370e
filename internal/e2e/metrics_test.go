package e2e

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/server"
)

// goldenMetrics are the names that dashboards and alerts depend on, with their labels.
func goldenMetrics() map[string]string {
	return map[string]string{
		"gatehouse_build_info":                    "commit goversion version",
		"gatehouse_cache_entries":                 "cache",
		"gatehouse_cache_listening":               "",
		"gatehouse_cache_requests_total":          "cache result",
		"gatehouse_database_connections_in_use":   "",
		"gatehouse_database_connections_max":      "",
		"gatehouse_database_connections_open":     "",
		"gatehouse_database_statements_total":     "",
		"gatehouse_database_transactions_total":   "",
		"gatehouse_database_waits_total":          "",
		"gatehouse_deliveries_total":              "outcome template",
		"gatehouse_event_backlog":                 "consumer",
		"gatehouse_events_total":                  "type",
		"gatehouse_http_request_duration_seconds": "method route status",
		"gatehouse_job_oldest_seconds":            "queue",
		"gatehouse_jobs":                          "queue state",
		"gatehouse_limit_decisions_total":         "limit result",
		"gatehouse_limit_fallback_active":         "",
		"gatehouse_limit_fallbacks_total":         "",
		"gatehouse_logins_total":                  "outcome",
		"gatehouse_mail_server_passed_over":       "place",
		"gatehouse_mail_servers":                  "",
		"gatehouse_password_hashes_in_flight":     "",
		"gatehouse_password_breach_checks_total":  "outcome",
		"gatehouse_password_rejected_total":       "",
		"gatehouse_password_waits_total":          "",
		"gatehouse_tokens_total":                  "grant outcome",
	}
}

// series is one line of what Prometheus reads; a histogram's value is left out.
type series struct {
	name, help string
	labels     map[string]string
	value      float64
}

// metrics are all series of an instance.
func metrics(t testing.TB, i *instance) (all []series) {
	t.Helper()
	families, err := i.Registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := series{f.GetName(), f.GetHelp(), map[string]string{}, m.GetCounter().GetValue() + m.GetGauge().GetValue()}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			all = append(all, s)
		}
	}
	return all
}

// gauge is the sum of a metric over the series that have these values among their labels.
func gauge(t testing.TB, i *instance, name string, values ...string) (sum float64) {
	t.Helper()
	for _, s := range metrics(t, i) {
		have := slices.Collect(maps.Values(s.labels))
		if s.name == name && !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(have, v) }) {
			sum += s.value
		}
	}
	return sum
}

func TestAU05_TheMetricsOfAJourney(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan struct{})
	go func() { i.Work(ctx); close(worked) }()
	t.Cleanup(func() { stop(); <-worked })

	b := newBrowser(t)
	b.try(b.loginPage(i), "ana", "wrong")
	got := token(t, i, "one", exchange(b.code(i, "one")))
	require.Equal(t, http.StatusOK, got.Status)
	token(t, i, "one", exchange("no-code"))
	token(t, i, "one", url.Values{"grant_type": {"a-strangers-grant"}})
	userinfo(t, i, "one", got.AccessToken)
	userinfo(t, i, "one", got.AccessToken)
	require.Eventually(t, func() bool {
		return gauge(t, i, "gatehouse_logins_total", "succeeded") == 1 && gauge(t, i, "gatehouse_event_backlog", "metrics") == 0
	}, 30*time.Second, 10*time.Millisecond)

	require.InDelta(t, 1, gauge(t, i, "gatehouse_logins_total", "wrong"), 0)
	require.InDelta(t, 1, gauge(t, i, "gatehouse_tokens_total", "authorization_code", "issued"), 0)
	require.InDelta(t, 1, gauge(t, i, "gatehouse_tokens_total", "authorization_code", "refused"), 0)
	require.InDelta(t, 1, gauge(t, i, "gatehouse_tokens_total", "other", "refused"), 0)
	require.InDelta(t, 1, gauge(t, i, "gatehouse_cache_requests_total", "verified_tokens", "hit"), 0)
	require.InDelta(t, 1, gauge(t, i, "gatehouse_cache_entries", "verified_tokens"), 0)
	require.Positive(t, gauge(t, i, "gatehouse_cache_requests_total", "clients", "hit"))
	require.Positive(t, gauge(t, i, "gatehouse_database_statements_total"))
	require.InDelta(t, 3, gauge(t, i, "gatehouse_limit_decisions_total", "client", "allowed"), 0)
	require.InDelta(t, 2, gauge(t, i, "gatehouse_limit_decisions_total", "password", "allowed"), 0)
	require.Zero(t, gauge(t, i, "gatehouse_password_hashes_in_flight"))

	labels := map[string]string{}
	for _, s := range metrics(t, i) {
		if !strings.HasPrefix(s.name, "gatehouse_") {
			continue
		}
		require.NotEmpty(t, s.help, s.name)
		labels[s.name] = strings.Join(slices.Sorted(maps.Keys(s.labels)), " ")
		for name, value := range s.labels {
			for _, secret := range []string{"ana", "Ana", "127.0.0", "realms/one", "a-strangers-grant", i.Realm(t, "one").ID.String()} {
				require.NotContains(t, value, secret, "%s{%s}", s.name, name)
			}
			require.NotRegexp(t, `[0-9a-f]{8}-[0-9a-f]{4}-`, value, "%s{%s}", s.name, name)
		}
	}
	require.Equal(t, goldenMetrics(), labels)
}

// TestMetricsAreDescribed holds the operators' page, the dashboard and the alerts against the metrics that there are.
func TestMetricsAreDescribed(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\bgatehouse_[a-z_]+[a-z]\b`)
	for _, file := range []string{"../../deploy/README.md", "../../deploy/prometheus/rules.yaml", "../../deploy/grafana/gatehouse.json"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		found := map[string]bool{}
		for _, n := range name.FindAllString(string(content), -1) {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				n = strings.TrimSuffix(n, suffix)
			}
			if n == "gatehouse_app" || n == "gatehouse_global" || n == "gatehouse_owner" {
				continue // roles of the database
			}
			require.Contains(t, goldenMetrics(), n, file)
			found[n] = true
		}
		if strings.HasSuffix(file, "README.md") {
			require.Len(t, found, len(goldenMetrics()), "the operators' page names every metric")
		}
	}
}

func TestAU05_MetricsAndProfilesAreNotPublic(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	private := httptest.NewServer(server.Private(i.Registry, &atomic.Bool{}, i.DB.Ping))
	t.Cleanup(private.Close)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/livez", "/readyz"} {
		for _, base := range []string{i.URL, i.Issuer("one")} {
			for _, spelling := range []string{path, "/" + path, path + "/", strings.ToUpper(path)} {
				r := newBrowser(t).get(base + spelling)
				require.Equal(t, http.StatusNotFound, r.StatusCode, base+spelling)
				require.NotContains(t, r.Body, "gatehouse_")
			}
		}
	}
	r := newBrowser(t).get(private.URL + "/metrics")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, r.Body, "gatehouse_build_info{")
	require.Contains(t, r.Body, "go_goroutines")
}
