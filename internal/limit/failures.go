package limit

import (
	"context"
	"time"
)

// Failures counts failed attempts at one kind of check; see the package comment
// for the rules.
type Failures struct{ source Source }

// NewFailures returns counters over the source.
func NewFailures(source Source) *Failures { return &Failures{source: source} }

// Reserve counts the attempt as failed on all keys and returns a reservation to
// settle when the outcome is known. When any key must wait, it counts nothing
// and returns false with the time to wait; the caller then answers as for a
// wrong password and does not check. Attempts at one key go by the same policies.
func (f *Failures) Reserve(ctx context.Context, p Policies, keys ...Key) (Reservation, time.Duration, bool) {
	charges := p.charges(keys)
	locks, wait := f.source.Reserve(ctx, charges)
	if wait > 0 {
		return Reservation{}, wait, false
	}
	return Reservation{source: f.source, charges: charges, locks: locks}, 0, true
}

// patience is how long Await waits, and how often it asks again.
const (
	patience = time.Second
	askAgain = 25 * time.Millisecond
)

// Await is Reserve for a person at a page: when what stands in the way are attempts that are still being checked, or a
// delay that is over in a moment, it waits that moment out instead of refusing. Many people who sign in at once from
// one address, or one person in several windows, are then served in turn. The budget is the same.
func (f *Failures) Await(ctx context.Context, p Policies, keys ...Key) (Reservation, time.Duration, bool) {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for {
		r, wait, ok := f.Reserve(ctx, p, keys...)
		if ok || wait > patience {
			return r, wait, ok
		}
		again := time.NewTimer(askAgain)
		select {
		case <-again.C:
		case <-enough.C:
			again.Stop()
			return r, wait, ok
		case <-ctx.Done():
			again.Stop()
			return r, wait, ok
		}
	}
}

// Recovered forgets the failures of account and pair keys and trusts the pair,
// after the person has proved otherwise who they are (a reset link). Address keys
// are left alone.
func (f *Failures) Recovered(ctx context.Context, keys ...Key) {
	var settlements []Settlement
	for _, k := range keys {
		switch k.Kind {
		case KindAccount:
			settlements = append(settlements, Settlement{Charge: Charge{Key: k}, Action: Clear})
		case KindPair:
			settlements = append(settlements, Settlement{Charge: Charge{Key: k}, Action: Trust})
		case KindAddress:
		}
	}
	f.source.Settle(ctx, settlements)
}

func (p Policies) charges(keys []Key) []Charge {
	charges := make([]Charge, len(keys))
	for i, k := range keys {
		charges[i] = Charge{Key: k, Policy: p.of(k.Kind)}
	}
	return charges
}

// Reservation is one attempt that counts as failed until it is settled. Settle
// it once. The zero value settles nothing.
type Reservation struct {
	source  Source
	charges []Charge
	locks   []time.Time
}

// Succeeded forgets the failures of the account and the pair and trusts the
// pair. The address only gets this attempt back: whoever owns one account must
// not be able to wipe out guesses at others.
func (r Reservation) Succeeded(ctx context.Context) {
	r.settle(ctx, func(k Kind) Action {
		switch k {
		case KindAccount:
			return Clear
		case KindPair:
			return Trust
		case KindAddress:
		}
		return Refund
	})
}

// Failed leaves the attempt counted. It does nothing and exists so that all
// outcomes read alike.
func (r Reservation) Failed() {}

// Withdraw gives the attempt back on every key, for when it could not be
// checked at all (too many hashes at once, the database away).
func (r Reservation) Withdraw(ctx context.Context) {
	r.settle(ctx, func(Kind) Action { return Refund })
}

func (r Reservation) settle(ctx context.Context, action func(Kind) Action) {
	if r.source == nil {
		return
	}
	settlements := make([]Settlement, len(r.charges))
	for i, c := range r.charges {
		settlements[i] = Settlement{Charge: c, Action: action(c.Key.Kind), Lock: r.locks[i]}
	}
	r.source.Settle(ctx, settlements)
}
