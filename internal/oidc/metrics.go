package oidc

import (
	"errors"
	"fmt"

	"github.com/labstack/echo/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Metrics counts what the protocol does that no event tells: issuing a token writes nothing.
type Metrics struct{ tokens *prometheus.CounterVec }

// NewMetrics registers gatehouse_tokens_total.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_tokens_total",
		Help: "Answers of the token endpoint, by grant type and outcome: issued, refused (the request's fault), limited, failed (ours).",
	}, []string{"grant", "outcome"})}
	if err := registerer.Register(m.tokens); err != nil {
		return nil, fmt.Errorf("register the metrics of tokens: %w", err)
	}
	return m, nil
}

// token counts an answer of the token endpoint.
func (m *Metrics) token(c *echo.Context, err error) {
	grant := "other"
	if form, ferr := web.Form(c); ferr == nil {
		grant = grantLabel(form.Get("grant_type"))
	}
	m.tokens.WithLabelValues(grant, outcomeOf(err)).Inc()
}

// grantLabel folds grant types that a stranger invented into one.
func grantLabel(grantType string) string {
	switch grantType {
	case grantCode, grantClient, grantRefresh:
		return grantType
	case grantAssertion:
		return "jwt_bearer"
	}
	return "other"
}

func outcomeOf(err error) string {
	if err == nil {
		return "issued"
	}
	var e *protocolError
	switch {
	case !errors.As(err, &e):
		e = asProtocolError(err)
	case e.Code == codeSlowDown:
		return "limited"
	}
	if e.ours() {
		return "failed"
	}
	return "refused"
}
