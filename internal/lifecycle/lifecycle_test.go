package lifecycle_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/consent"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

type bundle struct {
	*testdb.Bundle
	realm    realm.Realm
	users    *user.Store
	ann, bob user.User
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.realm = b.RealmOf(t, realm.New{Slug: "acme", Name: "Acme", Settings: realm.Settings{Password: realm.PasswordPolicy{History: 3}}})
	b.users = user.NewStore(b.Clock.Now, rand.Reader)
	b.ann, b.bob = b.person(t, "Ann@example.org"), b.person(t, "bob@example.org")
	return b
}

func (b *bundle) person(t *testing.T, address string) (u user.User) {
	t.Helper()
	email, err := user.Email(address)
	require.NoError(t, err)
	b.inTx(t, func(ctx context.Context, tx realm.Tx) error {
		u, err = b.users.Create(ctx, tx, user.New{Status: user.Active, Names: []user.Identifier{email}})
		return err
	})
	return u
}

// inTx is a transaction of somebody with an address, as a surface would open it.
func (b *bundle) inTx(t *testing.T, do func(context.Context, realm.Tx) error) {
	t.Helper()
	ctx := event.With(t.Context(), event.Origin{Kind: event.Operator, Actor: "root", Address: "192.0.2.1"})
	require.NoError(t, b.realm.InTx(ctx, func(tx realm.Tx) error { return do(ctx, tx) }))
}

type act func(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (lifecycle.Result, error)

func withReason(f func(context.Context, realm.Tx, uuid.UUID, string, time.Time) (lifecycle.Result, error)) act {
	return func(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (lifecycle.Result, error) {
		return f(ctx, tx, person, "because", now)
	}
}

func (b *bundle) do(t *testing.T, f act, person uuid.UUID) (done lifecycle.Result) {
	t.Helper()
	b.inTx(t, func(ctx context.Context, tx realm.Tx) (err error) {
		done, err = f(ctx, tx, person, b.Clock.Now())
		return err
	})
	return done
}

// signIn begins a session by a proof of that moment.
func (b *bundle) signIn(t *testing.T, person uuid.UUID, proved time.Time) (cookie session.Token, id uuid.UUID, err error) {
	t.Helper()
	cookie, err = session.NewToken(rand.Reader)
	require.NoError(t, err)
	err = b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		var err error
		id, err = session.Start(t.Context(), tx, session.New{Token: cookie, UserID: person, AuthTime: proved, AMR: []string{"pwd"}, ACR: "1"}, b.Clock.Now())
		return err
	})
	return cookie, id, err
}

func (b *bundle) issue(t *testing.T, person, in uuid.UUID, offline bool) grant.Code {
	t.Helper()
	code, err := grant.NewCode(rand.Reader)
	require.NoError(t, err)
	now := b.Clock.Now()
	require.NoError(t, grant.Issue(t.Context(), b.realm.Write(), grant.Grant{
		ClientID: "shop", UserID: person, SessionID: in, AuthTime: now, ACR: "1", Offline: offline,
		CreatedAt: now, CodeExpiresAt: now.Add(time.Minute), EndsAt: now.Add(24 * time.Hour),
	}, code))
	return code
}

func (b *bundle) live(t *testing.T, cookie session.Token) bool {
	t.Helper()
	_, err := session.ByToken(t.Context(), b.realm, cookie, b.Clock.Now())
	if err != nil {
		require.ErrorIs(t, err, realm.ErrUnknown)
	}
	return err == nil
}

func (b *bundle) usable(t *testing.T, code grant.Code) bool {
	t.Helper()
	g, err := grant.ByCode(t.Context(), b.realm, code, b.Clock.Now())
	if err != nil {
		require.ErrorIs(t, err, realm.ErrUnknown)
		return false
	}
	return g.Usable(b.Clock.Now())
}

// events are the types of a person's events since a count of them.
func (b *bundle) events(t *testing.T, person uuid.UUID) []string {
	t.Helper()
	rows, err := b.realm.Query(t.Context(), `SELECT type || coalesce(' ' || nullif(data->>'reason', ''), '') FROM events WHERE user_id = $1 ORDER BY seq`, person)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func (b *bundle) status(t *testing.T, name string) string {
	t.Helper()
	u, err := user.Find(t.Context(), b.realm, name)
	require.NoError(t, err)
	return u.Status
}

func TestSS04_EverythingOfAPersonEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do     act
		events []string
	}{
		"when they are disabled":     {withReason(lifecycle.Disable), []string{"session.ended disabled", "grant.all_revoked", "user.disabled because"}},
		"when they are locked":       {withReason(lifecycle.Lock), []string{"session.ended locked", "grant.all_revoked", "user.locked because"}},
		"when they are deleted":      {withReason(lifecycle.Delete), []string{"session.ended deleted", "grant.all_revoked", "user.deleted because"}},
		"when they are signed out":   {signOut, []string{"session.ended revoked", "grant.all_revoked", "user.signed_out"}},
		"when their password is new": {resetPassword, []string{"password.changed", "session.ended password_reset", "grant.all_revoked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			cookie, in, err := b.signIn(t, b.ann.ID, b.Clock.Now())
			require.NoError(t, err)
			code, offline := b.issue(t, b.ann.ID, in, false), b.issue(t, b.ann.ID, in, true)
			others, theirs, err := b.signIn(t, b.bob.ID, b.Clock.Now())
			require.NoError(t, err)
			bobs := b.issue(t, b.bob.ID, theirs, true)
			proved := b.Clock.Now()
			b.Clock.Advance(time.Second)

			require.Equal(t, lifecycle.Result{Changed: true, Sessions: 1, Grants: 2}, b.do(t, c.do, b.ann.ID))
			require.False(t, b.live(t, cookie))
			require.False(t, b.usable(t, code))
			require.False(t, b.usable(t, offline))
			require.True(t, b.live(t, others), "nobody else's")
			require.True(t, b.usable(t, bobs))
			require.Equal(t, append([]string{"user.created", "session.started"}, c.events...), b.events(t, b.ann.ID))

			_, _, err = b.signIn(t, b.ann.ID, proved)
			require.ErrorIs(t, err, session.ErrStale, "what was proved before makes no session")
		})
	}
}

func signOut(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (lifecycle.Result, error) {
	return lifecycle.EndSessions(ctx, tx, person, uuid.Nil, now)
}

func resetPassword(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (lifecycle.Result, error) {
	return lifecycle.SetPassword(ctx, tx, lifecycle.NewPassword{User: person, Hash: "$argon2id$…"}, now)
}

func TestSS04_WhatHasEndedStaysEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cookie, in, err := b.signIn(t, b.ann.ID, b.Clock.Now())
	require.NoError(t, err)
	offline, proved := b.issue(t, b.ann.ID, in, true), b.Clock.Now()
	b.Clock.Advance(time.Second)
	b.do(t, withReason(lifecycle.Disable), b.ann.ID)
	require.True(t, b.do(t, lifecycle.Enable, b.ann.ID).Changed)

	require.False(t, b.live(t, cookie))
	require.False(t, b.usable(t, offline))
	_, _, err = b.signIn(t, b.ann.ID, proved)
	require.ErrorIs(t, err, session.ErrStale)
	fresh, _, err := b.signIn(t, b.ann.ID, b.Clock.Now())
	require.NoError(t, err)
	require.True(t, b.live(t, fresh))
}

func TestSS04_OneSessionMayBeSpared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here, kept, err := b.signIn(t, b.ann.ID, b.Clock.Now())
	require.NoError(t, err)
	there, _, err := b.signIn(t, b.ann.ID, b.Clock.Now())
	require.NoError(t, err)
	b.inTx(t, func(ctx context.Context, tx realm.Tx) error {
		_, err := lifecycle.EndSessions(ctx, tx, b.ann.ID, kept, b.Clock.Now())
		return err
	})
	require.True(t, b.live(t, here))
	require.False(t, b.live(t, there))
}

func TestStatus(t *testing.T) {
	t.Parallel()
	disable, lock := withReason(lifecycle.Disable), withReason(lifecycle.Lock)
	for name, c := range map[string]struct {
		acts   []act
		status string
		events []string
	}{
		"disabling twice is once":           {[]act{disable, disable}, user.Disabled, []string{"user.disabled because"}},
		"locking twice is once":             {[]act{lock, lock}, user.Locked, []string{"user.locked because"}},
		"enabling who is active is nothing": {[]act{lifecycle.Enable, lifecycle.Unlock}, user.Active, nil},
		"a disabled account is not locked":  {[]act{disable, lock, lifecycle.Unlock}, user.Disabled, []string{"user.disabled because"}},
		"a locked account can be disabled":  {[]act{lock, disable}, user.Disabled, []string{"user.locked because", "user.disabled because"}},
		"enabling does not unlock":          {[]act{lock, lifecycle.Enable}, user.Locked, []string{"user.locked because"}},
		"and back": {[]act{disable, lifecycle.Enable, lock, lifecycle.Unlock}, user.Active, []string{
			"user.disabled because", "user.enabled", "user.locked because", "user.unlocked",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, do := range c.acts {
				b.do(t, do, b.ann.ID)
			}
			require.Equal(t, c.status, b.status(t, "ann@example.org"))
			require.Equal(t, append([]string{"user.created"}, c.events...), b.events(t, b.ann.ID))
		})
	}
	t.Run("is unknown of nobody", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, do := range []act{disable, lock, lifecycle.Enable, lifecycle.Unlock, signOut, resetPassword, withReason(lifecycle.Delete)} {
			err := b.realm.InTx(t.Context(), func(tx realm.Tx) error {
				_, err := do(t.Context(), tx, uuid.New(), b.Clock.Now())
				return err
			})
			require.ErrorIs(t, err, realm.ErrUnknown)
		}
	})
}

// Whoever is in the middle of signing in or issuing a code when somebody is disabled comes before and is seen, or waits
// and is refused, or has a code for nothing.
func TestSS04_NothingBeginsMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, in, err := b.signIn(t, b.ann.ID, b.Clock.Now())
	require.NoError(t, err)

	held, release, disabled := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		disabled <- b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := lifecycle.Disable(t.Context(), tx, b.ann.ID, "", b.Clock.Now())
			close(held)
			<-release
			return err
		})
	}()
	<-held
	started, issued := make(chan error, 1), make(chan error, 1)
	cookie, err := session.NewToken(rand.Reader)
	require.NoError(t, err)
	go func() {
		started <- b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := session.Start(t.Context(), tx, session.New{
				Token: cookie, UserID: b.ann.ID, AuthTime: b.Clock.Now(), AMR: []string{"pwd"}, ACR: "1",
			}, b.Clock.Now())
			return err
		})
	}()
	code, err := grant.NewCode(rand.Reader)
	require.NoError(t, err)
	go func() {
		now := b.Clock.Now()
		issued <- grant.Issue(t.Context(), b.realm.Write(), grant.Grant{
			ClientID: "shop", UserID: b.ann.ID, SessionID: in, AuthTime: now, ACR: "1", Offline: true,
			CreatedAt: now, CodeExpiresAt: now.Add(time.Minute), EndsAt: now.Add(time.Hour),
		}, code)
	}()
	b.waiting(t, 2)
	close(release)
	require.NoError(t, <-disabled)
	require.ErrorIs(t, <-started, session.ErrStale)
	require.NoError(t, <-issued)
	b.do(t, lifecycle.Enable, b.ann.ID)
	g, err := grant.ByCode(t.Context(), b.realm, code, b.Clock.Now())
	require.NoError(t, err)
	require.False(t, g.Redeemable(b.Clock.Now()))
}

// waiting returns when so many statements wait for a lock.
func (b *bundle) waiting(t *testing.T, n int) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	require.Eventually(t, func() bool {
		var waits int
		err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
		return err == nil && waits == n
	}, time.Minute, 5*time.Millisecond)
}

func TestID03_ASubjectIsNeverGivenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	import42 := func() error {
		return b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			u, err := b.users.Create(t.Context(), tx, user.New{Subject: "old-42", Status: user.Active})
			if err != nil {
				return err
			}
			_, err = lifecycle.Delete(t.Context(), tx, u.ID, "", b.Clock.Now())
			return err
		})
	}
	require.NoError(t, import42())
	require.ErrorIs(t, import42(), user.ErrFormerSubject)

	t.Run("to an application neither", func(t *testing.T) {
		err := b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := client.NewStore(b.Clock.Now).Create(t.Context(), tx, "old-42", "Old", true, client.Settings{})
			return err
		})
		require.ErrorIs(t, err, client.ErrClientID)
	})
	t.Run("but in another realm, where it was nobody's", func(t *testing.T) {
		other := b.Realm(t, "other")
		require.NoError(t, other.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := b.users.Create(t.Context(), tx, user.New{Subject: "old-42", Status: user.Active})
			return err
		}))
	})
	t.Run("and says nothing of who it was", func(t *testing.T) {
		var all string
		require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT f::text FROM former_subjects f`).Scan(&all))
		require.NotContains(t, all, "old-42")
	})
}

// seed puts a row about a person into every table that can hold one, through its own domain.
func (b *bundle) seed(t *testing.T, person user.User) {
	t.Helper()
	_, in, err := b.signIn(t, person.ID, b.Clock.Now())
	require.NoError(t, err)
	b.issue(t, person.ID, in, true)
	b.inTx(t, func(ctx context.Context, tx realm.Tx) error {
		for _, hash := range []string{"$argon2id$1", "$argon2id$2"} {
			if err := password.Set(ctx, tx, person.ID, hash, b.Clock.Now()); err != nil {
				return err
			}
		}
		mailer := challenge.Mailer{Random: rand.Reader}
		n := challenge.New{Purpose: challenge.Reset, User: person.ID, Address: person.Email().Display}
		if _, err := mailer.Send(ctx, tx, n, challenge.Letter{}, b.Clock.Now()); err != nil {
			return err
		}
		return consent.Grant(ctx, tx, person.ID, "shop", []string{"openid"}, b.Clock.Now())
	})
}

// A table that holds something about people refers to them by a foreign key, or its domain has a function that
// lifecycle.Delete calls. Either way it needs a row in seed.
func TestAD10_NothingOfADeletedPersonIsLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seed(t, b.ann)
	b.seed(t, b.bob)
	exempt := map[string]string{
		"events": "keep the id, a pseudonym that leads to nobody any more",
		"flows":  "a browser's progress: with nobody behind the id it asks who is there, and is gone within a day",
	}
	tables := b.peopleColumns(t)
	require.Greater(t, len(tables), 6)
	count := func(person uuid.UUID) map[string]int {
		rows := map[string]int{}
		for _, c := range tables {
			var n int
			require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT count(*) FROM `+c.table+` WHERE `+c.column+` = $1`, person).Scan(&n))
			rows[c.table] += n
		}
		return rows
	}
	for table, n := range count(b.ann.ID) {
		if _, ok := exempt[table]; !ok {
			require.Positive(t, n, "table %s can hold a person: seed a row in it, and see that lifecycle.Delete deletes it", table)
		}
	}
	before := count(b.bob.ID)
	require.True(t, b.do(t, withReason(lifecycle.Delete), b.ann.ID).Changed)
	for table, n := range count(b.ann.ID) {
		if _, ok := exempt[table]; !ok {
			require.Zero(t, n, "table %s", table)
		}
	}
	require.Equal(t, before, count(b.bob.ID), "nobody else is touched")
	_, err := user.Find(t.Context(), b.realm, "ann@example.org")
	require.ErrorIs(t, err, realm.ErrUnknown)
	require.NotEmpty(t, b.events(t, b.ann.ID))
}

type column struct{ table, column string }

// peopleColumns finds every column that can hold a person's id: by its foreign key to users, or by its name.
func (b *bundle) peopleColumns(t *testing.T) []column {
	t.Helper()
	rows, err := b.realm.Query(t.Context(), `
		SELECT DISTINCT c.relname::text, a.attname::text
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped AND a.attname <> 'realm_id'
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND (
			a.attname ~ 'user|person' OR (c.relname = 'users' AND a.attname = 'id') OR EXISTS (
				SELECT 1 FROM pg_constraint f
				WHERE f.conrelid = c.oid AND f.confrelid = 'users'::regclass AND f.contype = 'f' AND a.attnum = ANY (f.conkey)))
		ORDER BY 1, 2`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.table, &c.column)
		return c, err
	})
	require.NoError(t, err)
	return list
}
