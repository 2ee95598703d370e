package limit

import (
	"context"
	"fmt"
	"time"

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

// Observe returns the source with its decisions counted under the name of one limit.
func (m *Metrics) Observe(name string, s Source) Source {
	return observed{s, m.decisions.WithLabelValues(name, "allowed"), m.decisions.WithLabelValues(name, "refused")}
}

type observed struct {
	Source
	allowed, refused prometheus.Counter
}

// Spend implements [Source].
func (o observed) Spend(ctx context.Context, key string, r Rate) Decision {
	d := o.Source.Spend(ctx, key, r)
	o.count(d.OK)
	return d
}

// Reserve implements [Source].
func (o observed) Reserve(ctx context.Context, charges []Charge) ([]time.Time, time.Duration) {
	locks, wait := o.Source.Reserve(ctx, charges)
	o.count(wait == 0)
	return locks, wait
}

func (o observed) count(ok bool) {
	if ok {
		o.allowed.Inc()
	} else {
		o.refused.Inc()
	}
}
