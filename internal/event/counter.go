package event

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Counter is the consumer that counts events for Prometheus, by type, and sign-ins by their outcome. Counters hang on
// what was committed, so a call site cannot forget one or count what was rolled back.
type Counter struct{ total, logins *prometheus.CounterVec }

var _ Consumer = Counter{}

// NewCounter makes the counters gatehouse_events_total and gatehouse_logins_total in reg.
func NewCounter(reg prometheus.Registerer) (Counter, error) {
	c := Counter{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_events_total", Help: "Events recorded, by type, counted by the process that held the cursor.",
		}, []string{"type"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_logins_total",
			Help: "Sign-ins by outcome: succeeded, or why they were refused; counted by the process that held the cursor.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{"succeeded", "wrong", "unknown", "inactive", "throttled"} {
		c.logins.WithLabelValues(outcome) // present from the start, so that a rate begins at zero
	}
	return c, errors.Join(reg.Register(c.total), reg.Register(c.logins))
}

// Name implements Consumer.
func (Counter) Name() string { return "metrics" }

// Handle implements Consumer.
func (c Counter) Handle(_ context.Context, _ realm.Realm, batch []Stored) error {
	for _, e := range batch {
		c.total.WithLabelValues(e.Type).Inc()
		if outcome := loginOutcome(e); outcome != "" {
			c.logins.WithLabelValues(outcome).Inc()
		}
	}
	return nil
}

// loginOutcome is how the sign-in ended that an event tells of, "" when it tells of none. Reasons are few and made by
// the program; one that is new here counts as other.
func loginOutcome(e Stored) string {
	switch e.Type {
	case "session.started", "session.renewed":
		return "succeeded"
	case "login.refused":
		var data struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(e.Data, &data) == nil {
			switch data.Reason {
			case "wrong", "unknown", "inactive", "throttled":
				return data.Reason
			}
		}
		return "other"
	}
	return ""
}
