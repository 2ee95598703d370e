package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

type bundle struct {
	*testdb.Bundle
	realm    realm.Realm
	ann, bob uuid.UUID
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.realm = b.Realm(t, "acme")
	people := user.NewStore(b.Clock.Now, rand.Reader)
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		for _, id := range []*uuid.UUID{&b.ann, &b.bob} {
			u, err := people.Create(t.Context(), tx, user.New{Status: user.Active})
			if err != nil {
				return err
			}
			*id = u.ID
		}
		return nil
	}))
	return b
}

func token(t *testing.T) session.Token {
	t.Helper()
	tok, err := session.NewToken(rand.Reader)
	require.NoError(t, err)
	return tok
}

// start begins a session as n says, token and times filled in, and returns its cookie.
func (b *bundle) start(t *testing.T, n session.New) (session.Token, uuid.UUID) {
	t.Helper()
	n.Token, n.AuthTime, n.AMR, n.ACR = token(t), b.Clock.Now(), []string{"pwd"}, "1"
	var id uuid.UUID
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) (err error) {
		id, err = session.Start(t.Context(), tx, n, b.Clock.Now())
		return err
	}))
	return n.Token, id
}

func (b *bundle) end(t *testing.T, id, person uuid.UUID) bool {
	t.Helper()
	var live bool
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) (err error) {
		live, err = session.End(t.Context(), tx, id, person, "logout", b.Clock.Now())
		return err
	}))
	return live
}

func (b *bundle) live(t *testing.T, tok session.Token) bool {
	t.Helper()
	_, err := session.ByToken(t.Context(), b.realm, tok, b.Clock.Now())
	if err != nil {
		require.ErrorIs(t, err, realm.ErrUnknown)
	}
	return err == nil
}

func (b *bundle) events(t *testing.T) []string {
	t.Helper()
	rows, err := b.realm.Query(t.Context(), `SELECT type || coalesce(' ' || (data->>'reason'), '') FROM events WHERE type LIKE 'session.%' ORDER BY seq`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestSS01_TheCookieIsAnOpaqueReference(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tok, id := b.start(t, session.New{UserID: b.ann})

	t.Run("of 256 random bits", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(string(tok))
		require.NoError(t, err)
		require.Len(t, raw, 32)
		require.NotEqual(t, tok, token(t))
	})
	t.Run("of which only the hash is stored", func(t *testing.T) {
		var all string
		var hash []byte
		require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT s::text, s.token_hash FROM sessions s WHERE s.id = $1`, id).Scan(&all, &hash))
		want := sha256.Sum256([]byte(tok))
		require.Equal(t, want[:], hash)
		require.NotContains(t, all, string(tok))
	})
	t.Run("which never shows in a log", func(t *testing.T) {
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "token", fmt.Sprintf("%v %s %q %+v %x", tok, tok, tok, tok, tok))
		require.NotContains(t, out.String(), string(tok))
		require.Contains(t, out.String(), "[redacted]")
	})
	t.Run("and opens nothing in another realm", func(t *testing.T) {
		_, err := session.ByToken(t.Context(), b.Realm(t, "other"), tok, b.Clock.Now())
		require.ErrorIs(t, err, realm.ErrUnknown)
	})
}

func TestSS01_EveryLoginBringsANewCookie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, id := b.start(t, session.New{UserID: b.ann})
	s, err := session.ByToken(t.Context(), b.realm, first, b.Clock.Now())
	require.NoError(t, err)
	require.Equal(t, session.Session{ID: id, UserID: b.ann, AuthTime: b.Clock.Now()}, s)

	t.Run("the same person keeps the session, the old cookie is dead", func(t *testing.T) {
		b.Clock.Advance(time.Hour)
		second, again := b.start(t, session.New{UserID: b.ann, Previous: id, PreviousUser: b.ann})
		require.Equal(t, id, again)
		require.False(t, b.live(t, first))
		s, err := session.ByToken(t.Context(), b.realm, second, b.Clock.Now())
		require.NoError(t, err)
		require.True(t, s.AuthTime.Equal(b.Clock.Now()), "auth_time is of the new proof")
	})
	t.Run("another person gets another session, and the one before ends", func(t *testing.T) {
		cookie, _ := b.start(t, session.New{UserID: b.ann})
		s, err := session.ByToken(t.Context(), b.realm, cookie, b.Clock.Now())
		require.NoError(t, err)
		bobs, theirs := b.start(t, session.New{UserID: b.bob, Previous: s.ID, PreviousUser: b.ann})
		require.NotEqual(t, s.ID, theirs)
		require.False(t, b.live(t, cookie))
		require.True(t, b.live(t, bobs))
	})
	t.Run("a session that has ended is not renewed", func(t *testing.T) {
		cookie, ended := b.start(t, session.New{UserID: b.ann})
		require.True(t, b.end(t, ended, b.ann))
		fresh, other := b.start(t, session.New{UserID: b.ann, Previous: ended, PreviousUser: b.ann})
		require.NotEqual(t, ended, other)
		require.False(t, b.live(t, cookie))
		require.True(t, b.live(t, fresh))
	})
	require.Equal(t, []string{
		"session.started", "session.renewed", "session.started", "session.ended replaced", "session.started",
		"session.started", "session.ended logout", "session.started",
	}, b.events(t))
}

func TestSS03_SessionsEnd(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)

	t.Run("when nobody uses them", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie, _ := b.start(t, session.New{UserID: b.ann})
		kept, _ := b.start(t, session.New{UserID: b.ann, Persistent: true})
		b.Clock.Advance(2*time.Hour - time.Second)
		require.True(t, b.live(t, cookie))
		b.Clock.Advance(time.Second)
		require.False(t, b.live(t, cookie))
		require.True(t, b.live(t, kept))
		b.Clock.Advance(14*24*time.Hour - 2*time.Hour)
		require.False(t, b.live(t, kept))
	})
	t.Run("when their time is over, however much they are used", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		seen := session.NewSeen()
		cookie, id := b.start(t, session.New{UserID: b.ann})
		for range 11 {
			b.Clock.Advance(time.Hour)
			seen.Note(b.realm, id, b.Clock.Now())
			seen.Flush(t.Context(), log)
			require.True(t, b.live(t, cookie))
		}
		b.Clock.Advance(time.Hour - time.Second)
		require.True(t, b.live(t, cookie))
		b.Clock.Advance(time.Second)
		require.False(t, b.live(t, cookie))
	})
	t.Run("as the realm's settings were when they began", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.realm = b.RealmOf(t, realm.New{Slug: "strict", Name: "Strict", Settings: realm.Settings{Lifetimes: realm.Lifetimes{
			SessionIdle: realm.Duration(5 * time.Minute), SessionAbsolute: realm.Duration(10 * time.Minute),
		}}})
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			u, err := user.NewStore(b.Clock.Now, rand.Reader).Create(t.Context(), tx, user.New{Status: user.Active})
			b.ann = u.ID
			return err
		}))
		cookie, _ := b.start(t, session.New{UserID: b.ann})
		b.Clock.Advance(5 * time.Minute)
		require.False(t, b.live(t, cookie))
		lenient := *b.realm.Facts
		lenient.Settings.Lifetimes.SessionIdle = realm.Duration(24 * time.Hour)
		b.realm.Facts = &lenient
		require.False(t, b.live(t, cookie), "a longer setting does not bring it back")
	})
	t.Run("at once when somebody ends them", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		cookie, id := b.start(t, session.New{UserID: b.ann})
		require.True(t, b.end(t, id, b.ann))
		require.False(t, b.live(t, cookie))
		require.False(t, b.end(t, id, b.ann), "it was not live any more")
		require.Equal(t, []string{"session.started", "session.ended logout"}, b.events(t), "and ended once")
	})
}

func TestSS04_AllSessionsOfAPersonEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := b.start(t, session.New{UserID: b.ann})
	here, kept := b.start(t, session.New{UserID: b.ann, Persistent: true})
	bobs, _ := b.start(t, session.New{UserID: b.bob})
	endAll := func(except uuid.UUID) (n int64) {
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) (err error) {
			n, err = session.EndAll(t.Context(), tx, b.ann, except, "revoked", b.Clock.Now())
			return err
		}))
		return n
	}

	t.Run("but the one that is spared", func(t *testing.T) {
		require.EqualValues(t, 1, endAll(kept))
		require.False(t, b.live(t, first))
		require.True(t, b.live(t, here))
	})
	t.Run("and nobody else's", func(t *testing.T) {
		require.EqualValues(t, 1, endAll(uuid.Nil))
		require.False(t, b.live(t, here))
		require.True(t, b.live(t, bobs))
	})
	t.Run("once, each with its event", func(t *testing.T) {
		require.Zero(t, endAll(uuid.Nil))
		require.Equal(t, []string{
			"session.started", "session.started", "session.started", "session.ended revoked", "session.ended revoked",
		}, b.events(t))
	})
	t.Run("those that look idle too, whose last use is not written yet", func(t *testing.T) {
		cookie, id := b.start(t, session.New{UserID: b.ann})
		b.Clock.Advance(2 * time.Hour)
		require.False(t, b.live(t, cookie))
		require.EqualValues(t, 1, endAll(uuid.Nil))
		seen := session.NewSeen()
		seen.Note(b.realm, id, b.Clock.Now())
		seen.Flush(t.Context(), slog.New(slog.DiscardHandler))
		require.False(t, b.live(t, cookie))
	})
}

func TestSeen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	cookie, id := b.start(t, session.New{UserID: b.ann})
	_, other := b.start(t, session.New{UserID: b.ann})
	seen := session.NewSeen()

	t.Run("writes a batch by one statement and nothing when there is none", func(t *testing.T) {
		b.Clock.Advance(time.Hour)
		seen.Note(b.realm, id, b.Clock.Now())
		seen.Note(b.realm, other, b.Clock.Now())
		before := b.DB.Stats()
		seen.Flush(t.Context(), log)
		seen.Flush(t.Context(), log)
		require.EqualValues(t, 1, b.DB.Stats().Sub(before).Statements)
		b.Clock.Advance(90 * time.Minute)
		require.True(t, b.live(t, cookie))
	})
	t.Run("never takes a session back", func(t *testing.T) {
		late := session.NewSeen() // another process, with an older use
		late.Note(b.realm, id, b.Clock.Now().Add(-150*time.Minute))
		late.Flush(t.Context(), log)
		require.True(t, b.live(t, cookie))
	})
	t.Run("keeps what could not be written, unless it knows better by then", func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		seen.Note(b.realm, id, b.Clock.Now())
		seen.Flush(gone, log)
		require.Contains(t, out.String(), "will be tried again")
		b.Clock.Advance(time.Hour)
		seen.Flush(t.Context(), log)
		b.Clock.Advance(59 * time.Minute)
		require.True(t, b.live(t, cookie))
	})
	t.Run("writes once more when it is stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			seen.Run(ctx, log)
			close(stopped)
		}()
		seen.Note(b.realm, id, b.Clock.Now())
		cancel()
		<-stopped
		b.Clock.Advance(119 * time.Minute)
		require.True(t, b.live(t, cookie))
	})
}

func TestCookieLife(t *testing.T) {
	t.Parallel()
	r := setup(t).realm
	require.Zero(t, session.CookieLife(r, false), "until the browser is closed")
	require.Equal(t, 30*24*time.Hour, session.CookieLife(r, true))
}
