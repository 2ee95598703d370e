package telemetry

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry with the metrics of the process, of the Go
// runtime, and gatehouse_build_info. It is served on the private listener only.
func NewRegistry(version, commit string) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gatehouse_build_info",
		Help: "Always 1; the labels say which build is running.",
		ConstLabels: prometheus.Labels{
			"version": version, "commit": commit, "goversion": runtime.Version(),
		},
	})
	build.Set(1)

	registry := prometheus.NewRegistry()
	for _, collector := range []prometheus.Collector{
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register process metrics: %w", err)
		}
	}
	return registry, nil
}

// HTTPMetrics counts and times requests.
type HTTPMetrics struct {
	duration *prometheus.HistogramVec
	found    series[requestLabels, prometheus.Observer]
}

type requestLabels struct{ route, method, status string }

// NewHTTPMetrics registers gatehouse_http_request_duration_seconds, whose count
// is the number of requests.
func NewHTTPMetrics(registerer prometheus.Registerer) (*HTTPMetrics, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gatehouse_http_request_duration_seconds",
		Help:    "Time from the request's first byte to the end of the response, by route pattern, method and status class.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})
	if err := registerer.Register(duration); err != nil {
		return nil, fmt.Errorf("register request metrics: %w", err)
	}
	return &HTTPMetrics{duration: duration}, nil
}

// ObserveRequest records one answered request. The route is the pattern
// ("/r/:realm/token"), never the path: a path holds ids, and each new one would
// be a new series. An empty route counts as "unmatched".
func (m *HTTPMetrics) ObserveRequest(route, method string, status int, seconds float64) {
	if route == "" {
		route = "unmatched"
	}
	labels := requestLabels{route, knownMethod(method), statusClass(status)}
	m.found.of(labels, func() prometheus.Observer {
		return m.duration.WithLabelValues(labels.route, labels.method, labels.status)
	}).Observe(seconds)
}

// series remembers the series of a metric by its labels, which must be of few values: to find one takes Prometheus's client
// longer than to count.
type series[L comparable, M any] struct {
	mu    sync.RWMutex
	known map[L]M
}

func (s *series[L, M]) of(labels L, find func() M) M {
	s.mu.RLock()
	m, ok := s.known[labels]
	s.mu.RUnlock()
	if ok {
		return m
	}
	m = find()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[L]M{}
	}
	s.known[labels] = m
	return m
}

// knownMethod folds methods that a stranger invented into one.
func knownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "OTHER"
}

// statusClass is 2xx for 200 to 299, and so on.
func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "other"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// TokenMetrics counts answers of the token endpoint. Issuing a token writes nothing, so no event tells of it.
type TokenMetrics struct {
	total *prometheus.CounterVec
	found series[tokenLabels, prometheus.Counter]
}

type tokenLabels struct{ grant, outcome string }

// NewTokenMetrics registers gatehouse_tokens_total.
func NewTokenMetrics(registerer prometheus.Registerer) (*TokenMetrics, error) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_tokens_total",
		Help: "Answers of the token endpoint, by grant type and outcome: issued, refused (the request's fault), limited, failed (ours).",
	}, []string{"grant", "outcome"})
	if err := registerer.Register(total); err != nil {
		return nil, fmt.Errorf("register token metrics: %w", err)
	}
	return &TokenMetrics{total: total}, nil
}

// ObserveToken records one answer. The outcome is one of those that the metric's help names.
func (m *TokenMetrics) ObserveToken(grantType, outcome string) {
	labels := tokenLabels{knownGrant(grantType), outcome}
	m.found.of(labels, func() prometheus.Counter { return m.total.WithLabelValues(labels.grant, labels.outcome) }).Inc()
}

// knownGrant folds grant types that a stranger invented into one, and shortens the long names of the known.
func knownGrant(grantType string) string {
	switch grantType {
	case "authorization_code", "client_credentials", "refresh_token":
		return grantType
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		return "jwt_bearer"
	case "urn:ietf:params:oauth:grant-type:device_code":
		return "device_code"
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		return "token_exchange"
	}
	return "other"
}
