// Package admission decides which requests of programs are let in: how many of an address and of an application, and
// how often who fails to authenticate may try again.
//
// It knows neither HTTP nor the protocol. Package oidc asks it and says no in the protocol's words. The rates are the
// realm's (realm.RateLimits).
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
	address, client, failures limit.Source
	// suspects are the pairs of claimed client and address that failed lately, in this process.
	suspects *realm.Recent[string, struct{}]
}

const suspectsBound = 10_000

// NewGate makes a gate that counts requests by address and by client, and failed authentication.
func NewGate(address, client, failures limit.Source) *Gate {
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
// Who has not failed lately is not counted: the many requests that are fine pay for one load. Whoever has is a suspect to
// this process, and counted before each try until one succeeds. The first guesses of an address at a client, when they
// arrive together, are therefore all tried, and counted after.
func (g *Gate) Authenticate(ctx context.Context, r realm.Realm, from, claimed string, try func() error) error {
	if !g.suspects.Empty() {
		pair := r.LimitKey("client_auth", "pair", claimed, from)
		if _, suspect := g.suspects.Get(pair); suspect {
			return g.suspected(ctx, r, from, pair, try)
		}
	}
	err := try()
	var wrong Guess
	if !errors.As(err, &wrong) {
		return err
	}
	pair := r.LimitKey("client_auth", "pair", claimed, from)
	g.suspects.Put(pair, struct{}{})
	if tooSoon := g.count(ctx, r, from, pair); tooSoon != nil {
		return tooSoon
	}
	return err
}

// suspected is a try of whoever failed lately.
func (g *Gate) suspected(ctx context.Context, r realm.Realm, from, pair string, try func() error) error {
	if err := g.count(ctx, r, from, pair); err != nil {
		return err
	}
	err := try()
	if err == nil {
		g.suspects.Drop(pair)
	}
	return err
}

// count takes a try from the rates of the client at the address, and of the address: ten at once and a hundred, and one
// more every ten and every six seconds. None goes by application alone: a stranger must not be able to delay an application
// elsewhere. The secrets that Gatehouse makes hold 256 bits: no delay has to protect them.
func (g *Gate) count(ctx context.Context, r realm.Realm, from, pair string) error {
	if err := decided(g.failures.Spend(ctx, pair, limit.Rate{Burst: 10, Every: 10 * time.Second})); err != nil {
		return err
	}
	return decided(g.failures.Spend(ctx, r.LimitKey("client_auth", "address", from), limit.Rate{Burst: 100, Every: 6 * time.Second}))
}
