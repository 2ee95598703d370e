package grant_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
)

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.Realm(t, "other")
	token := grant.RefreshToken{Grant: uuid.New(), Generation: 7}
	text, err := token.Text(b.realm)
	require.NoError(t, err)

	t.Run("comes back from its text, without a read", func(t *testing.T) {
		before := b.DB.Stats()
		back, ok := grant.ParseRefreshToken(b.realm, text)
		require.True(t, ok)
		require.Equal(t, token, back)
		require.Zero(t, b.DB.Stats().Sub(before).Statements)
	})
	t.Run("is another realm's nonsense", func(t *testing.T) {
		_, ok := grant.ParseRefreshToken(other, text)
		require.False(t, ok)
	})
	t.Run("is refused when any bit of it changed", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		for i := range raw {
			raw[i] ^= 1
			_, ok := grant.ParseRefreshToken(b.realm, base64.RawURLEncoding.EncodeToString(raw))
			require.False(t, ok, "byte %d", i)
			raw[i] ^= 1
		}
		for _, odd := range []string{"", text[1:], text + "A", text + "="} {
			_, ok := grant.ParseRefreshToken(b.realm, odd)
			require.False(t, ok, odd)
		}
	})
	t.Run("never shows in a log", func(t *testing.T) {
		require.NotContains(t, fmt.Sprintf("%v %s %+v", token, token, token), token.Grant.String())
	})
}

// from is the context of a request from that address.
func from(t *testing.T, address string) context.Context {
	return event.With(t.Context(), event.Origin{Kind: event.Client, Address: address, UserAgent: "App/1"})
}

func TestRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.issue(t)
	const here, elsewhere = "192.0.2.1", "198.51.100.9"
	require.NoError(t, grant.Exchange(from(t, here), b.realm, b.read(t, code), 14*24*time.Hour, b.Clock.Now()))
	first := grant.RefreshToken{Grant: code.Grant, Generation: 1}
	g := b.read(t, code)
	require.Equal(t, grant.Current, g.Standing(first, b.Clock.Now()))

	t.Run("gives one of twenty the next generation", func(t *testing.T) {
		var group errgroup.Group
		var won, lost atomic.Int32
		for range 20 {
			group.Go(func() error {
				err := grant.Rotate(from(t, here), b.realm, g, first, 14*24*time.Hour, b.Clock.Now())
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, grant.ErrLost):
					lost.Add(1)
				default:
					return err
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		require.EqualValues(t, 1, won.Load())
		require.EqualValues(t, 19, lost.Load())
		require.EqualValues(t, 2, b.read(t, code).Generation)
	})
	t.Run("the one before counts for a moment, older ones never", func(t *testing.T) {
		g, now := b.read(t, code), b.Clock.Now()
		require.Equal(t, grant.Repeated, g.Standing(first, now.Add(grant.Grace-time.Millisecond)))
		require.Equal(t, grant.Stale, g.Standing(first, now.Add(grant.Grace)))
		second := grant.RefreshToken{Grant: code.Grant, Generation: 2}
		require.NoError(t, grant.Rotate(from(t, here), b.realm, g, second, 14*24*time.Hour, now))
		g = b.read(t, code)
		require.Equal(t, grant.Stale, g.Standing(first, now))
		require.Equal(t, grant.Repeated, g.Standing(second, now))
		require.Equal(t, grant.Dead, g.Standing(grant.RefreshToken{Grant: code.Grant, Generation: 4}, now), "nobody was given that one")
	})
	t.Run("from elsewhere is an event, from here is none", func(t *testing.T) {
		require.Equal(t, []string{"grant.exchanged"}, b.events(t))
		g := b.read(t, code)
		current := grant.RefreshToken{Grant: code.Grant, Generation: g.Generation}
		require.NoError(t, grant.Rotate(from(t, elsewhere), b.realm, g, current, 14*24*time.Hour, b.Clock.Now()))
		require.Equal(t, []string{"grant.exchanged", "grant.refreshed_elsewhere"}, b.events(t))
		require.ErrorIs(t, grant.Rotate(from(t, elsewhere), b.realm, b.read(t, code), current, 14*24*time.Hour, b.Clock.Now()), grant.ErrLost)
	})
	t.Run("of a revoked authorization is refused", func(t *testing.T) {
		g := b.read(t, code)
		current := grant.RefreshToken{Grant: code.Grant, Generation: g.Generation}
		require.NoError(t, grant.Revoke(t.Context(), b.realm, g, "revoked", b.Clock.Now()))
		require.ErrorIs(t, grant.Rotate(from(t, here), b.realm, g, current, 14*24*time.Hour, b.Clock.Now()), grant.ErrLost)
		require.Equal(t, grant.Dead, b.read(t, code).Standing(current, b.Clock.Now()))
	})
}
