package limit

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what limits decide, by the limit's name and never by key.
type Metrics struct{ decisions *prometheus.CounterVec }

// NewMetrics registers gatehouse_limit_decisions_total.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_limit_decisions_total",
		Help: "What limits decided, by limit and result (allowed, refused).",
	}, []string{"limit", "result"})}
	if err := registerer.Register(m.decisions); err != nil {
		return nil, fmt.Errorf("register the metrics of limits: %w", err)
	}
	return m, nil
}

// Decided returns a function that counts the decisions of one limit.
func (m *Metrics) Decided(name string) func(ok bool) {
	allowed, refused := m.decisions.WithLabelValues(name, "allowed"), m.decisions.WithLabelValues(name, "refused")
	return func(ok bool) {
		if ok {
			allowed.Inc()
		} else {
			refused.Inc()
		}
	}
}

// Observe returns the source with its decisions counted under the name of one limit.
func (m *Metrics) Observe(name string, s Source) Source { return observed{s, m.Decided(name)} }

type observed struct {
	source  Source
	decided func(ok bool)
}

// Spend implements [Source].
func (o observed) Spend(ctx context.Context, key string, r Rate) Decision {
	d := o.source.Spend(ctx, key, r)
	o.decided(d.OK)
	return d
}
