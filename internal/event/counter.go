package event

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Counter is the consumer that counts events for Prometheus, by type. Counters hang on what was committed, so a
// call site cannot forget one or count what was rolled back.
type Counter struct{ total *prometheus.CounterVec }

var _ Consumer = Counter{}

// NewCounter makes the counter gatehouse_events_total in reg.
func NewCounter(reg prometheus.Registerer) (Counter, error) {
	c := Counter{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_events_total", Help: "Events recorded, by type, counted by the process that held the cursor.",
	}, []string{"type"})}
	return c, reg.Register(c.total)
}

// Name implements Consumer.
func (Counter) Name() string { return "metrics" }

// Handle implements Consumer.
func (c Counter) Handle(_ context.Context, _ realm.Realm, batch []Stored) error {
	for _, e := range batch {
		c.total.WithLabelValues(e.Type).Inc()
	}
	return nil
}
