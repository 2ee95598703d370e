package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
)

// How long published keys are believed, and how often they are asked for. Whoever names a client can make this server
// look, so it looks seldom (SECURITY.md OB-03).
const (
	freshFor    = 10 * time.Minute
	believedFor = time.Hour // when they cannot be read any more
	lookAgain   = time.Minute
	retryAfter  = 10 * time.Second // while there are none at all
	maxSets     = 10_000
)

// Keys finds the public keys of clients and of the issuers that they trust: registered, or published at a jwks_uri,
// which it reads and remembers. It is safe for concurrent use.
type Keys struct {
	http *safehttp.Client
	now  func() time.Time
	mu   sync.Mutex
	sets map[setKey]*keySet
}

// keySet is what is known of the keys at one client's address. Its fields are guarded by Keys.mu.
type keySet struct {
	keys []Key
	// read is when the keys were read, tried when they were last asked for.
	read, tried time.Time
	err         error
	// done is closed when the answer that is being waited for has come.
	done chan struct{}
}

// NewKeys makes a Keys that asks by http.
func NewKeys(http *safehttp.Client, now func() time.Time) *Keys {
	return &Keys{http: http, now: now, sets: map[setKey]*keySet{}}
}

// Verify tells whether proves is true for one of the keys that the client may have signed with: those that fit alg,
// and have that id when kid is not "". Keys that are published are looked for again when none is known by that id. The
// error says that they cannot be read.
func (k *Keys) Verify(ctx context.Context, r realm.Realm, c *Client, alg, kid string, proves func(Key) bool) (bool, error) {
	if c.TokenEndpointAuthSigningAlg != "" && c.TokenEndpointAuthSigningAlg != alg {
		return false, nil
	}
	return k.verify(ctx, r, owner{c.ClientID, c.keys, c.JWKSURI}, alg, kid, proves)
}

// VerifyIssuer is Verify for the keys of an issuer that the client trusts.
func (k *Keys) VerifyIssuer(ctx context.Context, r realm.Realm, c *Client, t TrustedIssuer, alg, kid string, proves func(Key) bool) (bool, error) {
	return k.verify(ctx, r, owner{c.ClientID, c.issuerKeys[t.Issuer], t.JWKSURI}, alg, kid, proves)
}

// owner is whose keys are looked for: the client for whom, those that are registered, or where they are published.
type owner struct {
	clientID string
	keys     []Key
	address  string
}

func (k *Keys) verify(ctx context.Context, r realm.Realm, o owner, alg, kid string, proves func(Key) bool) (bool, error) {
	try := func(keys []Key) (known, proved bool) {
		for _, key := range keys {
			if (kid == "" || key.ID == kid) && key.Fits(alg) {
				known = true
				if proves(key) {
					return true, true
				}
			}
		}
		return known && kid != "", false
	}
	if o.address == "" {
		_, proved := try(o.keys)
		return proved, nil
	}
	keys, err := k.published(ctx, r, o, false)
	if err != nil {
		return false, err
	}
	known, proved := try(keys)
	if known || proved {
		return proved, nil
	}
	if keys, err = k.published(ctx, r, o, true); err != nil {
		return false, err
	}
	_, proved = try(keys)
	return proved, nil
}

// published returns the keys at the owner's address. missed says that one is missing among those that are known.
func (k *Keys) published(ctx context.Context, r realm.Realm, o owner, missed bool) ([]Key, error) {
	s, mine := k.claim(setKey{r.CacheKey(o.clientID), o.address}, missed)
	if mine {
		k.read(ctx, s, o.address)
	}
	k.mu.Lock()
	keys, done := s.usable(k.now()), s.done
	k.mu.Unlock()
	if done != nil && (missed || len(keys) == 0) {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if keys = s.usable(k.now()); keys == nil && s.err != nil {
		return nil, fmt.Errorf("read the keys for client %s: %w", o.clientID, s.err)
	}
	return keys, nil
}

// setKey names the keys that are read for a client at an address.
type setKey struct {
	client  realm.Key
	address string
}

// claim returns the set and whether the caller is the one who has to read it now.
func (k *Keys) claim(key setKey, missed bool) (*keySet, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	s := k.sets[key]
	if s == nil {
		if len(k.sets) >= maxSets {
			clear(k.sets)
		}
		s = &keySet{}
		k.sets[key] = s
	}
	if s.done != nil || !s.due(now, missed) {
		return s, false
	}
	s.tried, s.done = now, make(chan struct{})
	return s, true
}

// due tells whether the keys are to be asked for.
func (s *keySet) due(now time.Time, missed bool) bool {
	switch waited := now.Sub(s.tried); {
	case s.tried.IsZero():
		return true
	case s.usable(now) == nil:
		return waited >= retryAfter
	case missed || s.err != nil:
		return waited >= lookAgain
	}
	return now.Sub(s.read) >= freshFor
}

// usable are the keys as long as they are believed, nil when there are none.
func (s *keySet) usable(now time.Time) []Key {
	if s.read.IsZero() || now.Sub(s.read) >= believedFor {
		return nil
	}
	return s.keys
}

// read asks for the keys. It goes on when the caller goes away, because others wait for the answer.
func (k *Keys) read(ctx context.Context, s *keySet, address string) {
	keys, err := k.fetch(context.WithoutCancel(ctx), address)
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.err = err; err == nil {
		s.keys, s.read = keys, k.now()
	}
	close(s.done)
	s.done = nil
}

func (k *Keys) fetch(ctx context.Context, address string) ([]Key, error) {
	answer, err := k.http.Get(ctx, address, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", answer.Status)
	}
	keys, err := readPublished(answer.Body)
	if err == nil && len(keys) == 0 {
		return nil, errors.New("the answer has no key that can be used")
	}
	return keys, err
}

// checkKeysAddress says why keys cannot be published at that address, "" when they can. Which hosts may be asked the
// operator decides, when they are.
func checkKeysAddress(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"https", "http"}, u.Scheme):
		return "is not an https address"
	case u.User != nil:
		return "has a user name or password"
	case u.Fragment != "":
		return "has a fragment"
	case u.Scheme == "http" && CheckRedirectURI(address, "web") != "":
		return "uses http; only loopback addresses may"
	}
	return ""
}
