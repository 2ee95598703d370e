package limit

import (
	"context"
	"time"
)

// Source holds the numbers. Its methods are atomic, safe for concurrent use and
// cannot fail; see the package comment for what that asks of a remote one. The
// keys of one call of Reserve or Settle begin with the same text up to their
// first "|" (the realm), so that a source of many machines can keep them together.
type Source interface {
	// Spend takes one event from the key's rate.
	Spend(ctx context.Context, key string, r Rate) Decision
	// Reserve counts a failure on every key and returns, in the same order, the
	// delays that they caused; or it counts nothing and returns how long the
	// longest delay still runs. The delay of an account key does not matter when
	// a pair key of the same reservation is trusted. A pair that reaches its
	// free failures is no longer trusted.
	Reserve(ctx context.Context, charges []Charge) (locks []time.Time, wait time.Duration)
	// Settle changes each key as its action says.
	Settle(ctx context.Context, settlements []Settlement)
}

// Charge is one failure to count.
type Charge struct {
	Key    Key
	Policy Policy
}

// Settlement says what becomes of a counted failure.
type Settlement struct {
	Charge
	Action Action
	Lock   time.Time // what Reserve returned for the key; for Refund
}

// Action is what a settlement does.
type Action int

// The actions.
const (
	Refund Action = iota // take this one failure back
	Clear                // forget all failures
	Trust                // forget all failures and trust the pair for TrustPeriod
)

// TrustPeriod is how long a sign-in from an address exempts the pair from the
// account's delay.
const TrustPeriod = 30 * 24 * time.Hour
