package app

import (
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/flow/firstfactor"
)

// steps is the ordered list of what the login flow asks for. A new step is a package and a line.
func (s *System) steps() []flow.Step {
	return []flow.Step{
		firstfactor.Step{Hasher: s.Hasher, Failures: s.failures, Now: s.now},
	}
}

// consumers read the event log, each at its own pace. A new one is a type and a line.
func (s *System) consumers() ([]event.Consumer, error) {
	counter, err := event.NewCounter(s.Registry)
	if err != nil {
		return nil, err
	}
	return []event.Consumer{counter}, nil
}
