package grant_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

type bundle struct {
	*testdb.Bundle
	realm   realm.Realm
	ann     user.User
	session uuid.UUID
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.realm = b.Realm(t, "acme")
	email, err := user.Email("Ann@example.org")
	require.NoError(t, err)
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		b.ann, err = user.NewStore(b.Clock.Now, rand.Reader).Create(t.Context(), tx, user.New{
			Status: user.Active, Claims: user.Claims{Name: "Ann"}, Names: []user.Identifier{email}, Verified: map[string]bool{"email": true},
		})
		return err
	}))
	b.signIn(t)
	return b
}

// signIn begins the session that codes are issued in.
func (b *bundle) signIn(t *testing.T) {
	t.Helper()
	cookie, err := session.NewToken(rand.Reader)
	require.NoError(t, err)
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		b.session, err = session.Start(t.Context(), tx, session.New{Token: cookie, UserID: b.ann.ID, AuthTime: b.Clock.Now(), AMR: []string{"pwd"}, ACR: "1"}, b.Clock.Now())
		return err
	}))
}

// issue makes an authorization as the authorization endpoint would.
func (b *bundle) issue(t *testing.T) grant.Code {
	t.Helper()
	code, err := grant.NewCode(rand.Reader)
	require.NoError(t, err)
	now := b.Clock.Now()
	require.NoError(t, grant.Issue(t.Context(), b.realm.Write(), grant.Grant{
		ClientID: "shop", UserID: b.ann.ID, SessionID: b.session, Scopes: []string{"openid", "email"}, Audience: []string{b.realm.Issuer},
		Request: map[string]string{"redirect_uri": "https://app.example/cb", "nonce": "n"}, AuthTime: now, AMR: []string{"pwd"}, ACR: "1",
		CreatedAt: now, CodeExpiresAt: now.Add(time.Minute), EndsAt: now.Add(12 * time.Hour),
	}, code))
	return code
}

func (b *bundle) byCode(t *testing.T, r realm.Realm, code grant.Code) (grant.Grant, error) {
	t.Helper()
	return grant.ByCode(t.Context(), r, code, b.Clock.Now())
}

func (b *bundle) person(t *testing.T, g grant.Grant) (grant.Person, error) {
	t.Helper()
	return grant.NewLive().Person(t.Context(), b.realm, g.ID, "a token id", b.Clock.Now())
}

func (b *bundle) read(t *testing.T, code grant.Code) grant.Grant {
	t.Helper()
	g, err := b.byCode(t, b.realm, code)
	require.NoError(t, err)
	return g
}

func (b *bundle) exchange(t *testing.T, g grant.Grant) error {
	t.Helper()
	return grant.Exchange(t.Context(), b.realm, g, 0, b.Clock.Now())
}

func (b *bundle) events(t *testing.T) []string {
	t.Helper()
	rows, err := b.realm.Query(t.Context(), `SELECT type || coalesce(' ' || (data->>'reason'), '') FROM events WHERE type LIKE 'grant.%' ORDER BY seq`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestCode(t *testing.T) {
	t.Parallel()
	code, err := grant.NewCode(rand.Reader)
	require.NoError(t, err)

	t.Run("comes back from its text", func(t *testing.T) {
		t.Parallel()
		back, ok := grant.ParseCode(code.Text())
		require.True(t, ok)
		require.Equal(t, code, back)
	})
	t.Run("holds 256 random bits beside the id", func(t *testing.T) {
		t.Parallel()
		raw, err := base64.RawURLEncoding.DecodeString(code.Text())
		require.NoError(t, err)
		require.Len(t, raw, 48)
		_, err = grant.NewCode(bytes.NewReader(make([]byte, 31)))
		require.Error(t, err, "with less it is not made")
	})
	t.Run("is not read from anything else", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "x", code.Text() + "A", code.Text()[1:], code.Text() + "=", "!" + code.Text()[1:]} {
			_, ok := grant.ParseCode(text)
			require.False(t, ok, text)
		}
	})
	t.Run("never shows in a log", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, fmt.Sprintf("%v %s %q %+v %#v", code, code, code, code, code), code.Text())
	})
}

func TestByCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.issue(t)
	g := b.read(t, code)
	require.Equal(t, code.Grant, g.ID)
	require.Equal(t, b.ann.Subject, g.Subject)
	require.Equal(t, map[string]string{"redirect_uri": "https://app.example/cb", "nonce": "n"}, g.Request)
	require.True(t, g.UserActive)
	require.True(t, g.SessionLive)
	require.False(t, g.CodeUsed)
	require.True(t, g.Usable(b.Clock.Now()))

	t.Run("needs the whole code", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.DecodeString(code.Text())
		require.NoError(t, err)
		raw[47] ^= 1
		forged, ok := grant.ParseCode(base64.RawURLEncoding.EncodeToString(raw))
		require.True(t, ok)
		_, err = b.byCode(t, b.realm, forged)
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
	t.Run("finds nothing in another realm", func(t *testing.T) {
		other := b.Realm(t, "other")
		_, err := b.byCode(t, other, code)
		require.ErrorIs(t, err, realm.ErrUnknown)
		require.ErrorIs(t, grant.Exchange(t.Context(), other, g, 0, b.Clock.Now()), grant.ErrLost)
	})
	t.Run("does not find the code in the table", func(t *testing.T) {
		var row string
		require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT g::text FROM grants g`).Scan(&row))
		require.NotContains(t, row, code.Text())
	})
	t.Run("says when the session is over", func(t *testing.T) {
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := session.End(t.Context(), tx, b.session, b.ann.ID, "logout", b.Clock.Now())
			return err
		}))
		g := b.read(t, code)
		require.False(t, g.SessionLive)
		require.False(t, g.Usable(b.Clock.Now()))
	})
}

func TestExchange(t *testing.T) {
	t.Parallel()

	t.Run("gives one of twenty the tokens", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		code := b.issue(t)
		g := b.read(t, code)
		var group errgroup.Group
		var won, lost atomic.Int32
		for range 20 {
			group.Go(func() error {
				err := grant.Exchange(t.Context(), b.realm, g, 0, b.Clock.Now())
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
		require.Equal(t, []string{"grant.exchanged"}, b.events(t), "and records it once")
		require.True(t, b.read(t, code).CodeUsed)
	})
	t.Run("takes one read and one write", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		code := b.issue(t)
		before := b.DB.Stats()
		require.NoError(t, b.exchange(t, b.read(t, code)))
		spent := b.DB.Stats().Sub(before)
		require.EqualValues(t, 2, spent.Statements)
		require.EqualValues(t, 2, spent.Transactions)
	})
	t.Run("is too late when the code has expired", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		g := b.read(t, b.issue(t))
		b.Clock.Advance(time.Minute)
		require.ErrorIs(t, b.exchange(t, g), grant.ErrLost)
		require.Empty(t, b.events(t))
	})
	t.Run("is refused after the code was burnt or revoked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		burnt, revoked := b.issue(t), b.issue(t)
		g, h := b.read(t, burnt), b.read(t, revoked)
		require.NoError(t, grant.Burn(t.Context(), b.realm, g, "invalid_grant", b.Clock.Now()))
		require.NoError(t, grant.Revoke(t.Context(), b.realm, h, "revoked", b.Clock.Now()))
		require.ErrorIs(t, b.exchange(t, g), grant.ErrLost)
		require.ErrorIs(t, b.exchange(t, h), grant.ErrLost)
		require.True(t, b.read(t, burnt).Revoked)
		require.Equal(t, []string{"grant.code_refused invalid_grant", "grant.revoked revoked"}, b.events(t))
	})
}

func TestBurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.issue(t)
	g := b.read(t, code)
	require.NoError(t, b.exchange(t, g))
	require.NoError(t, grant.Burn(t.Context(), b.realm, g, "invalid_grant", b.Clock.Now()))
	require.False(t, b.read(t, code).Revoked, "a failed proof on a used code takes nothing from who used it")
	require.Equal(t, []string{"grant.exchanged"}, b.events(t))
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.issue(t)
	g := b.read(t, code)
	require.NoError(t, b.exchange(t, g))
	person, err := b.person(t, g)
	require.NoError(t, err)
	require.Equal(t, b.ann.Subject, person.Subject)
	require.Equal(t, "Ann@example.org", person.Email)
	require.True(t, person.EmailVerified)
	require.Equal(t, "Ann", person.Claims.Name)

	t.Run("ends everything that came of it, once", func(t *testing.T) {
		var group errgroup.Group
		for range 8 {
			group.Go(func() error { return grant.Revoke(t.Context(), b.realm, g, "code_reuse", b.Clock.Now()) })
		}
		require.NoError(t, group.Wait())
		require.True(t, b.read(t, code).Revoked)
		require.Equal(t, []string{"grant.exchanged", "grant.revoked code_reuse"}, b.events(t))
		_, err := b.person(t, g)
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
	t.Run("reaches nothing in another realm", func(t *testing.T) {
		fresh := b.issue(t)
		require.NoError(t, grant.Revoke(t.Context(), b.Realm(t, "other"), b.read(t, fresh), "revoked", b.Clock.Now()))
		require.False(t, b.read(t, fresh).Revoked)
	})
	t.Run("by session, with the event that ended it", func(t *testing.T) {
		fresh := b.issue(t)
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			if _, err := session.End(t.Context(), tx, b.session, b.ann.ID, "logout", b.Clock.Now()); err != nil {
				return err
			}
			return grant.RevokeBySession(t.Context(), tx, b.session, b.Clock.Now())
		}))
		require.True(t, b.read(t, fresh).Revoked)
		b.signIn(t)
		b.issue(t)
		err := b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			return grant.RevokeBySession(t.Context(), tx, b.session, b.Clock.Now())
		})
		require.ErrorContains(t, err, "GH001", "not without one")
	})
	t.Run("a person whose time is over is no longer read", func(t *testing.T) {
		g := b.read(t, b.issue(t))
		_, err := b.person(t, g)
		require.NoError(t, err)
		b.Clock.Advance(12 * time.Hour)
		_, err = b.person(t, g)
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
}

// A connection that dies in the middle of an exchange leaves the code as it was, and no event.
func TestOP09_AnExchangeIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.issue(t)
	g := b.read(t, code)
	admin, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()

	// Somebody holds the row, so the exchange waits inside its statement until its connection is killed.
	locked, release, holder := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		holder <- b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			var id uuid.UUID
			err := tx.QueryRow(t.Context(), `SELECT id FROM grants FOR UPDATE`).Scan(&id)
			close(locked)
			<-release
			return err
		})
	}()
	<-locked
	exchanged := make(chan error, 1)
	go func() { exchanged <- grant.Exchange(t.Context(), b.realm, g, 0, b.Clock.Now()) }()
	require.Eventually(t, func() bool {
		var killed int
		err := admin.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&killed)
		return err == nil && killed == 1
	}, 2*time.Second, time.Millisecond)
	err = <-exchanged
	require.Error(t, err)
	require.True(t, postgres.Unavailable(err), "%v", err)
	require.NotErrorIs(t, err, grant.ErrLost)
	close(release)
	require.NoError(t, <-holder)

	require.False(t, b.read(t, code).CodeUsed)
	require.Empty(t, b.events(t))
	require.NoError(t, b.exchange(t, g), "and it works again")
	require.Equal(t, []string{"grant.exchanged"}, b.events(t))

	t.Run("nor does an event that cannot be written", func(t *testing.T) {
		code := b.issue(t)
		g := b.read(t, code)
		g.ClientID = "nul\x00" // PostgreSQL refuses it in JSON
		require.Error(t, b.exchange(t, g))
		require.False(t, b.read(t, code).CodeUsed)
	})
}
