package oidc

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Limits of the endpoints that programs call. The rates are the realm's (realm.RateLimits).
type Limits struct {
	// Client and Address count requests by application and by client address.
	Client, Address limit.Source
	// Failures counts failed client authentication (limit.ClientPolicies).
	Failures *limit.Failures
}

// codeSlowDown is the one registered error of the token endpoint that says "too often" (RFC 8628 §3.5). Here it comes
// with status 429 and Retry-After (RFC 6585 §4), which clients obey that do not know it.
const codeSlowDown = "slow_down"

func slowDown(wait time.Duration) *protocolError {
	return &protocolError{Code: codeSlowDown, Description: "Too many requests. Try again after the seconds in the Retry-After header.", wait: wait}
}

// seconds is a wait as the Retry-After header has it: whole seconds, at least one.
func seconds(wait time.Duration) string {
	return strconv.FormatInt(int64(max(wait, time.Second)+time.Second-1)/int64(time.Second), 10)
}

// from is what counts as one client address.
func (p *Provider) from(c *echo.Context) string { return limit.Prefix(p.Web.ClientAddress(c)) }

// limited refuses, before anything is read, what comes too fast from one address.
func (p *Provider) limited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := web.Realm(c)
		d := p.Limits.Address.Spend(c.Request().Context(), r.LimitKey("api", p.from(c)), limit.PerSecond(r.Settings.RateLimits.Address))
		if d.OK {
			return next(c)
		}
		e := slowDown(d.RetryAfter)
		c.Response().Header().Set(echo.HeaderRetryAfter, seconds(d.RetryAfter))
		return c.JSON(http.StatusTooManyRequests, map[string]string{"error": e.Code, "error_description": e.Description})
	}
}

// spendClient takes a request from an application's rate, after it has proved to be it: strangers who say its name
// must not use it up. One that has nothing to prove itself with is counted by address.
func (p *Provider) spendClient(c *echo.Context, r realm.Realm, cl client.Client) error {
	key := r.LimitKey("client", cl.ClientID)
	if cl.Public() {
		key = r.LimitKey("client", cl.ClientID, p.from(c))
	}
	d := p.Limits.Client.Spend(c.Request().Context(), key, limit.PerSecond(r.Settings.RateLimits.Client))
	if d.OK {
		return nil
	}
	return slowDown(d.RetryAfter)
}

// guess is the cause of a failed client authentication in which somebody tried something that could have been right.
type guess string

// Error implements error.
func (g guess) Error() string { return string(g) }

// admitClient authenticates the client of a request and counts failures, so that secrets cannot be guessed.
//
// Who has not failed lately is not counted beforehand: the many requests that are fine pay for one look into a map.
// Whoever has is a suspect to this process and needs a reservation before the next try; the right secret ends that.
func (p *Provider) admitClient(c *echo.Context, r realm.Realm, cred credentials) (client.Client, error) {
	ctx := c.Request().Context()
	var keys []limit.Key
	var attempt limit.Reservation
	suspect := false
	if p.suspects.any() {
		keys = p.failureKeys(c, r, cred)
		suspect = p.suspects.has(keys[1].Value)
	}
	if suspect {
		var wait time.Duration
		var ok bool
		if attempt, wait, ok = p.Limits.Failures.Reserve(ctx, keys...); !ok {
			return client.Client{}, slowDown(wait)
		}
	}
	cl, err := p.authenticateClient(ctx, r, cred)
	var wrong guess
	switch {
	case errors.As(err, &wrong) && suspect:
		attempt.Failed()
	case errors.As(err, &wrong):
		return client.Client{}, p.suspected(ctx, p.failureKeys(c, r, cred), err)
	case err != nil:
		attempt.Withdraw(ctx)
	case suspect:
		attempt.Succeeded(ctx)
		p.suspects.clear(keys[1].Value)
	}
	return cl, err
}

// suspected counts the first failure and returns the error to answer with.
func (p *Provider) suspected(ctx context.Context, keys []limit.Key, err error) error {
	p.suspects.add(keys[1].Value)
	if _, wait, ok := p.Limits.Failures.Reserve(ctx, keys...); !ok {
		return slowDown(wait)
	}
	return err
}

// failureKeys are the counters of a failed client authentication: the address, and the claimed client there.
func (p *Provider) failureKeys(c *echo.Context, r realm.Realm, cred credentials) []limit.Key {
	from := p.from(c)
	return []limit.Key{
		limit.Address(r.LimitKey("client_auth", "address", from)),
		limit.Pair(r.LimitKey("client_auth", "pair", cred.id, from)),
	}
}

// suspects remembers which clients have failed to authenticate from which address, in this process. It is bounded:
// when the young half is full it becomes the old half.
type suspects struct {
	size       atomic.Int64
	mu         sync.RWMutex
	young, old map[string]struct{}
}

const suspectsBound = 10_000

func (s *suspects) any() bool { return s.size.Load() > 0 }

func (s *suspects) has(key string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, young := s.young[key]
	_, old := s.old[key]
	return young || old
}

func (s *suspects) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= suspectsBound {
		s.young, s.old = nil, s.young
	}
	if s.young == nil {
		s.young = map[string]struct{}{}
	}
	s.young[key] = struct{}{}
	s.size.Store(int64(len(s.young) + len(s.old)))
}

func (s *suspects) clear(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, key)
	delete(s.old, key)
	s.size.Store(int64(len(s.young) + len(s.old)))
}
