package password

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate hands out shares of the memory budget in the order of arrival.
type gate struct {
	budget int64
	share  int64 // the least that one hash takes
	wait   time.Duration
	free   *semaphore.Weighted

	inFlight, waited, rejected atomic.Int64
}

func newGate(budget, share int64, wait time.Duration) *gate {
	return &gate{budget: budget, share: share, wait: wait, free: semaphore.NewWeighted(budget)}
}

// enter takes memory bytes of the budget and returns what gives them back.
//
// A format that needs little memory still takes one share of the current
// parameters: otherwise a realm full of imported bcrypt hashes would have no
// bound on the processor time spent at once.
func (g *gate) enter(ctx context.Context, memory int64) (leave func(), err error) {
	weight := max(memory, g.share)
	if weight > g.budget {
		return nil, ErrTooCostly
	}
	waiting, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	if waiting.Err() != nil || !g.free.TryAcquire(weight) {
		g.waited.Add(1)
		if g.free.Acquire(waiting, weight) != nil {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			g.rejected.Add(1)
			return nil, ErrBusy
		}
	}
	g.inFlight.Add(1)
	return func() {
		g.inFlight.Add(-1)
		g.free.Release(weight)
	}, nil
}
