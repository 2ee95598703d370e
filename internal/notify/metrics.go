package notify

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what became of messages.
type Metrics struct{ deliveries *prometheus.CounterVec }

// postponed is the outcome of an attempt that will be repeated; the others are the states that a delivery ends in.
const postponed = "postponed"

// NewMetrics makes the counter gatehouse_deliveries_total in reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_deliveries_total",
		Help: "Messages by template and outcome: sent, failed (given up), expired, suppressed (nobody has the address), and attempts that were postponed.",
	}, []string{"template", "outcome"})}
	for _, t := range Templates() {
		for _, outcome := range []string{Sent, Failed, Expired, Suppressed, postponed} {
			m.deliveries.WithLabelValues(string(t), outcome) // present from the start, so that a rate begins at zero
		}
	}
	if err := reg.Register(m.deliveries); err != nil {
		return nil, fmt.Errorf("register the metrics of deliveries: %w", err)
	}
	return m, nil
}

func (m *Metrics) count(t Template, outcome string) {
	m.deliveries.WithLabelValues(string(t), outcome).Inc()
}
