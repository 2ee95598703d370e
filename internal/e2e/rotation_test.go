package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
)

// resourceServer is one as others write them: it keeps the key set for as long as our Cache-Control says, and asks
// before that for a key only that it does not know, once a minute at most.
type resourceServer struct {
	now func() time.Time
	// addresses of the key set are asked in turn, as a load balancer would.
	addresses []string

	mu            sync.Mutex
	keys          jose.JSONWebKeySet
	until         time.Time // when the key set has to be read again
	early         time.Time // when it was read early
	reads, sooner int
}

var maxAge = regexp.MustCompile(`(?:^|[ ,])max-age=(\d+)`)

func (v *resourceServer) read() error {
	resp, err := http.Get(v.addresses[v.reads%len(v.addresses)]) //nolint:noctx // the test has an end
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	v.reads++
	age := maxAge.FindStringSubmatch(resp.Header.Get("Cache-Control"))
	if resp.StatusCode != http.StatusOK || age == nil {
		return fmt.Errorf("the key set answers %s, Cache-Control %q", resp.Status, resp.Header.Get("Cache-Control"))
	}
	seconds, err := strconv.Atoi(age[1])
	if err != nil {
		return err
	}
	v.keys, v.until = jose.JSONWebKeySet{}, v.now().Add(time.Duration(seconds)*time.Second)
	return json.NewDecoder(resp.Body).Decode(&v.keys)
}

// key finds a key by its id.
func (v *resourceServer) key(kid string) (any, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.now().Before(v.until) {
		if err := v.read(); err != nil {
			return nil, err
		}
	}
	if len(v.keys.Key(kid)) == 0 && !v.now().Before(v.early.Add(time.Minute)) {
		v.early, v.sooner = v.now(), v.sooner+1
		if err := v.read(); err != nil {
			return nil, err
		}
	}
	if found := v.keys.Key(kid); len(found) == 1 {
		return found[0].Key, nil
	}
	return nil, errors.New("no such key")
}

// verify returns the id of the key that signed a token.
func (v *resourceServer) verify(token string) (kid string, err error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", err
	}
	kid = parsed.Signatures[0].Header.KeyID
	key, err := v.key(kid)
	if err == nil {
		_, err = parsed.Verify(key)
	}
	if err != nil {
		return "", fmt.Errorf("key %s: %w", kid, err)
	}
	return kid, nil
}

// traffic is a steady stream of tokens that two processes issue and a resource server verifies.
type traffic struct {
	instances []*instance
	api       *resourceServer
	verified  atomic.Int64
	failed    sync.Map // what went wrong
	signers   [2]atomic.Value
}

// drivers is how many clients each process has.
const drivers = 3

func (s *traffic) run(t *testing.T) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	ended := make(chan struct{})
	for n, i := range s.instances {
		for range drivers {
			wg.Go(func() {
				for {
					select {
					case <-ended:
						return
					default:
					}
					got := token(t, i, "one", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic("service", webSecret))
					kid, err := s.api.verify(got.AccessToken)
					if err != nil {
						s.failed.Store(err.Error(), got)
						continue
					}
					s.signers[n].Store(kid)
					s.verified.Add(1)
				}
			})
		}
	}
	return sync.OnceFunc(func() { close(ended); wg.Wait() })
}

// step moves every clock, and waits until tokens were asked for and verified since.
func (s *traffic) step(t *testing.T, d time.Duration) {
	t.Helper()
	for _, i := range s.instances {
		i.Clock.Advance(d)
	}
	// Each driver may have been at work on one already.
	until := s.verified.Load() + 2*drivers*int64(len(s.instances))
	require.Eventually(t, func() bool { return s.verified.Load() >= until }, time.Minute, time.Millisecond, "tokens go on")
}

// signedBy waits until both processes sign by a key.
func (s *traffic) signedBy(t *testing.T, kid string) {
	t.Helper()
	for n := range s.instances {
		soon(t, func() bool { return s.signers[n].Load() == kid }, "every process signs by the next key")
	}
}

// A key is replaced, from its successor's making until nobody publishes it any more, and at no moment does a resource
// server that believes our headers fail to verify a token, or have to ask for a key that it was not told of in time.
func TestJW05_RotationUnderLoad(t *testing.T) {
	t.Parallel()
	one := start(t, servicesFile)
	other := startOn(t, one.Database)
	other.Clock.Set(one.Clock.Now())
	one.work(t)
	other.work(t)
	realmOne := one.Realm(t, "one")
	first := header(t, serviceToken(t, one))["kid"].(string)
	s := &traffic{instances: []*instance{one, other}}
	s.api = &resourceServer{now: one.Clock.Now, addresses: []string{one.Issuer("one") + "/jwks", other.Issuer("one") + "/jwks"}}
	began := time.Now()
	stop := s.run(t)
	defer stop()
	minutes := func(n int) {
		for range n {
			s.step(t, time.Minute)
		}
	}

	minutes(6)
	next, err := one.Keys.Prepare(t.Context(), realmOne, keyset.ES256)
	require.NoError(t, err)
	minutes(6)
	s.step(t, keyset.Ahead-12*time.Minute)
	minutes(5)
	s.signedBy(t, first)
	s.step(t, time.Minute)
	require.NoError(t, one.Keys.Advance(t.Context(), realmOne))
	s.signedBy(t, next)
	minutes(6)
	s.step(t, keyset.After-12*time.Minute)
	minutes(20) // a process may keep its own reading of the keys for ten minutes
	require.Empty(t, publishedKeys(t, one).Key(first), "the old key is gone")
	stop()

	s.failed.Range(func(what, got any) bool {
		t.Errorf("%v: %+v", what, got)
		return true
	})
	rate := float64(s.verified.Load()) / time.Since(began).Seconds()
	t.Logf("%d tokens verified, %.0f a second; the key set was read %d times", s.verified.Load(), rate, s.api.reads)
	require.Zero(t, s.api.sooner, "every key was published before it signed")
	require.Less(t, s.api.reads, 20, "once in five minutes")
}

// What `gatehouse keys rotate --now` says it costs: who keeps the key set for as long as its headers allow, and asks for
// nothing sooner, refuses new tokens for that long and not longer. Who asks for a key that they do not know loses nothing.
func TestJW05_AnEmergencyCostsTheAgeOfTheKeySetAtMost(t *testing.T) {
	t.Parallel()
	i := start(t, servicesFile)
	strict := &resourceServer{now: i.Clock.Now, addresses: []string{i.Issuer("one") + "/jwks"}, early: i.Clock.Now().Add(24 * time.Hour)}
	curious := &resourceServer{now: i.Clock.Now, addresses: strict.addresses}
	before := serviceToken(t, i)
	for _, api := range []*resourceServer{strict, curious} {
		_, err := api.verify(before)
		require.NoError(t, err)
	}

	i.Clock.Advance(time.Second)
	kid, err := i.Keys.RotateNow(t.Context(), i.Realm(t, "one"), keyset.ES256)
	require.NoError(t, err)
	after := serviceToken(t, i)
	require.Equal(t, kid, header(t, after)["kid"])
	signed, err := curious.verify(after)
	require.NoError(t, err)
	require.Equal(t, kid, signed)
	_, err = strict.verify(after)
	require.ErrorContains(t, err, "no such key")

	i.Clock.Advance(5*time.Minute - time.Second)
	for _, text := range []string{after, before} {
		_, err = strict.verify(text)
		require.NoError(t, err, "five minutes are enough, and what the old key signed stays good")
	}
	require.Equal(t, true, inspect(t, i, "api", otherSecret, serviceToken(t, i))["active"])
}
