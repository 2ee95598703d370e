// Package admission decides which requests of programs are let in: how many of an address and of an application, and
// how often who fails to authenticate may try again.
//
// It knows neither HTTP nor the protocol. Package oidc asks it and says no in the protocol's words. The rates are the
// realm's (realm.RateLimits), what failures cost is limit.ClientPolicies.
package admission

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Gate is the process's one gate. It is safe for concurrent use.
type Gate struct {
	address, client limit.Source
	failures        *limit.Failures
	// suspects are the pairs of claimed client and address that failed lately, in this process.
	suspects *realm.Recent[string, struct{}]
}

const suspectsBound = 10_000

// NewGate makes a gate that counts requests by address and by client, and failed authentication.
func NewGate(address, client limit.Source, failures *limit.Failures) *Gate {
	return &Gate{address: address, client: client, failures: failures, suspects: realm.NewRecent[string, struct{}](suspectsBound)}
}

// Guess is the cause of a failed authentication in which something was tried that could have been right.
type Guess string

// Error implements error.
func (g Guess) Error() string { return string(g) }

// TooSoon says that the request must wait.
type TooSoon struct{ Wait time.Duration }

// Error implements error.
func (e TooSoon) Error() string { return "too many requests; wait " + e.Wait.String() }

// Seconds is the wait as a Retry-After header has it: whole seconds, at least one.
func (e TooSoon) Seconds() string {
	return strconv.FormatInt(int64((max(e.Wait, time.Second)+time.Second-1)/time.Second), 10)
}

// Address takes a request from an address's rate; its error is TooSoon. from is limit.Prefix of the address.
func (g *Gate) Address(ctx context.Context, r realm.Realm, from string) error {
	return decided(g.address.Spend(ctx, r.LimitKey("api", from), limit.PerSecond(r.Settings.RateLimits.Address)))
}

// Client takes a request from an application's rate, after it has proved to be it: strangers who say its name must not
// use it up. One that has nothing to prove itself with is public, and counted by address. Its error is TooSoon.
func (g *Gate) Client(ctx context.Context, r realm.Realm, clientID string, public bool, from string) error {
	key := r.LimitKey("client", clientID)
	if public {
		key = r.LimitKey("client", clientID, from)
	}
	return decided(g.client.Spend(ctx, key, limit.PerSecond(r.Settings.RateLimits.Client)))
}

func decided(d limit.Decision) error {
	if d.OK {
		return nil
	}
	return TooSoon{d.RetryAfter}
}

// Authenticate lets try authenticate a client, unless too many guesses failed before; its error is TooSoon, or that of
// try. claimed is the client that the request says it is.
//
// Who has not failed lately is not counted beforehand: the many requests that are fine pay for one load. Whoever has is
// a suspect to this process and needs a reservation before the next try; success ends that. The first guesses of an
// address at a client, when they arrive together, are therefore all tried, and counted after.
func (g *Gate) Authenticate(ctx context.Context, r realm.Realm, from, claimed string, try func() error) error {
	if g.suspects.Empty() {
		return g.first(ctx, r, from, claimed, try)
	}
	keys := failureKeys(r, claimed, from)
	if _, suspect := g.suspects.Get(keys[1].Value); !suspect {
		return g.first(ctx, r, from, claimed, try)
	}
	attempt, wait, ok := g.failures.Reserve(ctx, limit.ClientPolicies(), keys...)
	if !ok {
		return TooSoon{wait}
	}
	err := try()
	var wrong Guess
	switch {
	case err == nil:
		attempt.Succeeded(ctx)
		g.suspects.Drop(keys[1].Value)
	case errors.As(err, &wrong):
		attempt.Failed()
	default:
		attempt.Withdraw(ctx)
	}
	return err
}

// first is a try without a reservation.
func (g *Gate) first(ctx context.Context, r realm.Realm, from, claimed string, try func() error) error {
	err := try()
	var wrong Guess
	if !errors.As(err, &wrong) {
		return err
	}
	keys := failureKeys(r, claimed, from)
	g.suspects.Put(keys[1].Value, struct{}{})
	if _, wait, ok := g.failures.Reserve(ctx, limit.ClientPolicies(), keys...); !ok {
		return TooSoon{wait}
	}
	return err
}

// failureKeys are the counters of a failed authentication: the address, and the claimed client there.
func failureKeys(r realm.Realm, claimed, from string) []limit.Key {
	return []limit.Key{
		limit.Address(r.LimitKey("client_auth", "address", from)),
		limit.Pair(r.LimitKey("client_auth", "pair", claimed, from)),
	}
}
