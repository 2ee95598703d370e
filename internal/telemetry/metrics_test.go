package telemetry_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

func labels(t *testing.T, registry *prometheus.Registry, name string) []map[string]string {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	var found []map[string]string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			set := map[string]string{}
			for _, pair := range metric.GetLabel() {
				set[pair.GetName()] = pair.GetValue()
			}
			found = append(found, set)
		}
	}
	return found
}

func TestRegistry_names_the_build(t *testing.T) {
	t.Parallel()
	registry, err := telemetry.NewRegistry("1.2.3", "abc")
	require.NoError(t, err)
	build := labels(t, registry, "gatehouse_build_info")
	require.Len(t, build, 1)
	require.Equal(t, "1.2.3", build[0]["version"])
	require.Equal(t, "abc", build[0]["commit"])
	require.NotEmpty(t, labels(t, registry, "go_goroutines"))
	require.NotEmpty(t, labels(t, registry, "process_start_time_seconds"))
}

func TestAU05_RequestMetricsCarryNoIds(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.NewHTTPMetrics(registry)
	require.NoError(t, err)
	metrics.ObserveRequest("/r/:realm/token", "POST", 200, 0.01)
	metrics.ObserveRequest("/r/:realm/token", "POST", 201, 0.01)
	metrics.ObserveRequest("", "BREW", 999, 0.01)

	require.ElementsMatch(t, []map[string]string{
		{"route": "/r/:realm/token", "method": "POST", "status": "2xx"},
		{"route": "unmatched", "method": "OTHER", "status": "other"},
	}, labels(t, registry, "gatehouse_http_request_duration_seconds"))

	_, err = telemetry.NewHTTPMetrics(registry)
	require.Error(t, err, "registering twice is told, not hidden")
}

func TestAU05_TokenMetricsCarryNoInvention(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.NewTokenMetrics(registry)
	require.NoError(t, err)
	metrics.ObserveToken("authorization_code", "issued")
	metrics.ObserveToken("urn:ietf:params:oauth:grant-type:jwt-bearer", "refused")
	metrics.ObserveToken("ana@example.test", "refused")
	metrics.ObserveToken("", "refused")
	require.ElementsMatch(t, []map[string]string{
		{"grant": "authorization_code", "outcome": "issued"},
		{"grant": "jwt_bearer", "outcome": "refused"},
		{"grant": "other", "outcome": "refused"},
	}, labels(t, registry, "gatehouse_tokens_total"))
}
