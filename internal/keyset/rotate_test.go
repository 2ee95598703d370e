package keyset_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// later takes the schedule to a moment and returns the realm's ring then.
func (b *bundle) later(t *testing.T, by time.Duration) *keyset.Ring {
	t.Helper()
	b.Clock.Advance(by)
	require.NoError(t, b.store.Advance(t.Context(), b.realm))
	return b.load(t, b.realm)
}

func published(t *testing.T, ring *keyset.Ring) (kids []string) {
	t.Helper()
	var set jose.JSONWebKeySet
	body, _ := ring.JWKS()
	require.NoError(t, json.Unmarshal(body, &set))
	for _, k := range set.Keys {
		require.True(t, k.IsPublic())
		kids = append(kids, k.KeyID)
	}
	return kids
}

func signing(t *testing.T, ring *keyset.Ring) string {
	t.Helper()
	k, err := ring.Active(keyset.ES256)
	require.NoError(t, err)
	return k.KID
}

func (b *bundle) events(t *testing.T, of string) int { t.Helper(); return b.eventsOf(t, b.realm, of) }

func (b *bundle) eventsOf(t *testing.T, r realm.Realm, of string) (n int) {
	t.Helper()
	require.NoError(t, r.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = $1`, of).Scan(&n))
	return n
}

func TestJW05_KeysRotateOnSchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)
	hint, err := b.key.SignIDToken([]byte(claims))
	require.NoError(t, err)

	ring := b.later(t, time.Duration(b.realm.Settings.Lifetimes.SigningKey)-keyset.Ahead-time.Minute)
	require.Equal(t, []string{b.kid}, published(t, ring), "it is not time yet")

	ring = b.later(t, time.Minute)
	kids := published(t, ring)
	require.Len(t, kids, 2, "the next key is published before its use")
	require.Equal(t, b.kid, signing(t, ring))
	next := kids[0]
	require.Equal(t, 2, b.events(t, "key.made"))

	ring = b.later(t, keyset.Ahead-time.Minute)
	require.Equal(t, b.kid, signing(t, ring), "not everybody has read the next key yet")

	ring = b.later(t, time.Minute)
	require.Equal(t, next, signing(t, ring))
	require.Equal(t, 1, b.events(t, "key.activated"))
	require.Contains(t, published(t, ring), b.kid, "what it signed is still in use")
	_, err = ring.Verify(old, "at+jwt")
	require.NoError(t, err)

	ring = b.later(t, keyset.After)
	require.Equal(t, []string{next}, published(t, ring), "all that it signed has expired")
	for _, typ := range []string{"at+jwt", "JWT"} {
		for _, token := range []string{old, hint} {
			_, err = ring.Verify(token, typ)
			require.ErrorIs(t, err, keyset.ErrInvalid, "whoever has the key may not use it any more")
		}
	}
	_, err = ring.VerifyHint(hint)
	require.NoError(t, err, "it may still hint at who is expected")
	_, err = ring.VerifyHint(old)
	require.ErrorIs(t, err, keyset.ErrInvalid, "an access token is no hint")

	ring = b.later(t, keyset.Hints-keyset.After)
	_, err = ring.VerifyHint(hint)
	require.ErrorIs(t, err, keyset.ErrInvalid)
	require.Equal(t, 1, b.eventsOf(t, b.other, "key.made"), "the other realm has a schedule of its own")
}

func TestJW05_ARealmSaysHowLongAKeySigns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.realm.Settings.Lifetimes.SigningKey = realm.Duration(3 * 24 * time.Hour)
	b.later(t, 2*24*time.Hour-time.Second)
	require.Equal(t, 1, b.events(t, "key.made"))
	b.later(t, time.Second)
	require.Equal(t, 2, b.events(t, "key.made"))
	require.NotEqual(t, b.kid, signing(t, b.later(t, keyset.Ahead)))
}

func TestJW05_KeysRotateOnRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	again, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	require.Equal(t, next, again, "one successor at a time")
	_, err = b.store.Prepare(t.Context(), b.realm, keyset.EdDSA)
	require.ErrorIs(t, err, keyset.ErrUnknown)
	require.Equal(t, b.kid, signing(t, b.later(t, keyset.Ahead-time.Second)))
	require.Equal(t, next, signing(t, b.later(t, time.Second)))
}

func TestJW05_KeysRotateAtOnceInAnEmergency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)

	second, err := b.store.RotateNow(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	require.NotEqual(t, b.kid, second, "none was waiting, so one was made")
	ring := b.load(t, b.realm)
	require.Equal(t, second, signing(t, ring))
	require.ElementsMatch(t, []string{b.kid, second}, published(t, ring))
	_, err = ring.Verify(old, "at+jwt")
	require.NoError(t, err, "what the old key signed stays good")
	require.Equal(t, 1, b.events(t, "key.activated"))

	waiting, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	third, err := b.store.RotateNow(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	require.Equal(t, waiting, third, "the one that waits takes over before its time")
	require.Equal(t, third, signing(t, b.load(t, b.realm)))

	require.Equal(t, third, signing(t, b.later(t, keyset.Ahead)), "the schedule starts anew with it")
	require.Equal(t, 3, b.events(t, "key.made"))
	require.Equal(t, []string{third}, published(t, b.later(t, keyset.After-keyset.Ahead)))

	_, err = b.store.RotateNow(t.Context(), b.realm, keyset.EdDSA)
	require.ErrorIs(t, err, keyset.ErrUnknown, "the realm does not sign by it")
	require.Equal(t, 0, b.eventsOf(t, b.other, "key.activated"))
}

// Operators who act at once in an emergency leave one key that signs, and each learns of a key that did.
func TestJW05_EmergenciesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			kid, err := b.store.RotateNow(t.Context(), b.realm, keyset.ES256)
			if err != nil || kid == b.kid {
				t.Errorf("key %s: %v", kid, err)
			}
		})
	}
	wg.Wait()
	states := map[string]int{}
	list, err := b.store.List(t.Context(), b.realm)
	require.NoError(t, err)
	for _, k := range list {
		states[k.State]++
	}
	require.Equal(t, map[string]int{keyset.Active: 1, keyset.Retired: 20}, states, "each took the place of the one before")
	require.Equal(t, 20, b.events(t, "key.activated"))
}

func TestJW05_ARevokedKeyIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stolen, err := b.key.SignAccessToken([]byte(claims))
	require.NoError(t, err)

	successor, err := b.store.Revoke(t.Context(), b.realm, b.kid)
	require.NoError(t, err)
	ring := b.load(t, b.realm)
	require.Equal(t, successor, signing(t, ring))
	require.Equal(t, []string{successor}, published(t, ring))
	_, err = ring.Verify(stolen, "at+jwt")
	require.ErrorIs(t, err, keyset.ErrInvalid)
	require.Equal(t, 1, b.events(t, "key.revoked"))

	_, err = b.store.Revoke(t.Context(), b.realm, b.kid)
	require.ErrorIs(t, err, keyset.ErrUnknown, "once is enough")
	_, err = b.store.Revoke(t.Context(), b.other, successor)
	require.ErrorIs(t, err, keyset.ErrUnknown, "another realm's key is none")

	next, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	then, err := b.store.Revoke(t.Context(), b.realm, successor)
	require.NoError(t, err)
	require.Equal(t, next, then, "a key that waits already takes over")
	require.Equal(t, next, signing(t, b.load(t, b.realm)))

	waiting, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	then, err = b.store.Revoke(t.Context(), b.realm, waiting)
	require.NoError(t, err)
	require.Empty(t, then, "the active key signs on")
}

// Every process runs the schedule, and none stops signing meanwhile.
func TestJW05_ProcessesRotateTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
	require.NoError(t, err)
	b.Clock.Advance(keyset.Ahead)
	var wg sync.WaitGroup
	for range 20 {
		store := keyset.NewStore(b.Clock.Now, rand.Reader)
		wg.Go(func() {
			if err := store.Advance(t.Context(), b.realm); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			k, err := store.Signer(t.Context(), b.realm, keyset.ES256)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := k.SignAccessToken([]byte(claims)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, b.events(t, "key.activated"))
	require.Equal(t, 2, b.events(t, "key.made"))
}

// Fifty processes rotate, and fifty sign and verify meanwhile. Some have read the keys before and some after, but what
// any of them signs every other can verify.
func TestJW05_FiftyRotationsAgainstSigningAndVerifying(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const callers = 50
	var stores [callers]*keyset.Store
	for i := range stores {
		stores[i] = keyset.NewStore(b.Clock.Now, rand.Reader)
	}
	active := b.kid
	for range 4 {
		next, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
		require.NoError(t, err)
		b.Clock.Advance(keyset.Ahead)
		for _, s := range stores[:callers/2] { // these have read the keys when the rotation begins
			_, err := s.Ring(t.Context(), b.realm)
			require.NoError(t, err)
		}
		var signed [callers]string
		var failed [callers]error
		var ready, done sync.WaitGroup
		ready.Add(2 * callers)
		for i, s := range stores {
			done.Go(func() {
				ready.Done()
				ready.Wait()
				failed[i] = errors.Join(failed[i], s.Advance(t.Context(), b.realm))
			})
			reader := keyset.NewStore(b.Clock.Now, rand.Reader) // a process that begins just now
			if i < callers/2 {
				reader = stores[callers/2-1-i] // one that has read the keys
			}
			done.Go(func() {
				ready.Done()
				ready.Wait()
				signed[i] = signs(t, b, reader)
			})
		}
		done.Wait()
		require.NoError(t, errors.Join(failed[:]...))
		kids := map[string]bool{}
		for _, token := range signed {
			for _, s := range stores {
				ring, err := s.Ring(t.Context(), b.realm)
				require.NoError(t, err)
				_, err = ring.Verify(token, "at+jwt")
				require.NoError(t, err)
			}
			kids[kidOf(t, token)] = true
		}
		delete(kids, active)
		delete(kids, next)
		require.Empty(t, kids, "nobody else made a key")
		var signing []string
		list, err := b.store.List(t.Context(), b.realm)
		require.NoError(t, err)
		for _, k := range list {
			if k.State == keyset.Active {
				signing = append(signing, k.KID)
			}
		}
		require.Equal(t, []string{next}, signing, "exactly one key signs")
		active = next
	}
	require.Equal(t, 4, b.events(t, "key.activated"))
	require.Equal(t, 5, b.events(t, "key.made"))
}

// signs signs as a process does that keeps the keys in that store, and verifies what it signed.
func signs(t *testing.T, b *bundle, s *keyset.Store) string {
	t.Helper()
	k, err := s.Signer(t.Context(), b.realm, keyset.ES256)
	if err != nil {
		t.Error(err)
		return ""
	}
	token, err := k.SignAccessToken([]byte(claims))
	if err != nil {
		t.Error(err)
		return ""
	}
	ring, err := s.Ring(t.Context(), b.realm)
	if err != nil {
		t.Error(err)
		return ""
	}
	if _, err := ring.Verify(token, "at+jwt"); err != nil {
		t.Errorf("by the process itself: %v", err)
	}
	return token
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	return parsed.Signatures[0].Header.KeyID
}

// Whoever revokes everything at once leaves the realm with a key that nobody revoked.
func TestJW05_RevocationsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	active := b.kid
	for range 10 {
		next, err := b.store.Prepare(t.Context(), b.realm, keyset.ES256)
		require.NoError(t, err)
		b.Clock.Advance(keyset.Ahead) // and the schedule is at work as well
		var wg sync.WaitGroup
		for _, kid := range []string{active, next} {
			wg.Go(func() {
				if _, err := b.store.Revoke(t.Context(), b.realm, kid); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := b.store.Advance(t.Context(), b.realm); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		ring := b.load(t, b.realm)
		require.NotContains(t, published(t, ring), active)
		require.NotContains(t, published(t, ring), next)
		active = signing(t, ring)
	}
}
