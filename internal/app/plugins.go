package app

import (
	"crypto/rand"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/flow/consent"
	"github.com/gatehouse-id/gatehouse/internal/flow/firstfactor"
	"github.com/gatehouse-id/gatehouse/internal/flow/selectaccount"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/worker"
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

// backgroundWork is what the queue is for: the kinds of jobs with the queues that they wait in, and what is done periodically. A new
// kind is a line here; worker.In brings its handler into the job's realm.
func (s *System) backgroundWork() jobs.Options {
	return jobs.Options{
		Periodic: worker.Housekeeping{Realms: s.Realms, Keys: s.Keys, Now: s.now}.Periodic(),
	}
}
