package app

import (
	"crypto/rand"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/flow/consent"
	"github.com/gatehouse-id/gatehouse/internal/flow/firstfactor"
	"github.com/gatehouse-id/gatehouse/internal/flow/selectaccount"
)

// steps are the ordered lists of what the login flow asks for: who is there, and what that person must still do. A
// new step is a package and a line.
func (s *System) steps() (authenticate, require []flow.Step) {
	authenticate = []flow.Step{
		selectaccount.Step{},
		firstfactor.Step{Hasher: s.Hasher, Failures: s.failures, Now: s.now, Random: rand.Reader},
	}
	require = []flow.Step{
		consent.Step{Now: s.now},
	}
	return authenticate, require
}

// consumers read the event log, each at its own pace. A new one is a type and a line.
func (s *System) consumers() ([]event.Consumer, error) {
	counter, err := event.NewCounter(s.Registry)
	if err != nil {
		return nil, err
	}
	return []event.Consumer{counter}, nil
}
