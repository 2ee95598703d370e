// Package otelx ends the spans that fosite opens.
package otelx

import (
	"fmt"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// End ends span and marks it failed when *err is set or the caller panics; a panic goes on.
func End(span trace.Span, err *error) {
	defer span.End()
	if r := recover(); r != nil {
		span.SetStatus(codes.Error, fmt.Sprintf("panic: %v", r))
		panic(r)
	}
	if err != nil && *err != nil {
		span.SetStatus(codes.Error, (*err).Error())
	}
}
