package password_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

type bundle struct {
	*testdb.Bundle
	realm    realm.Realm
	ana, bob uuid.UUID
}

// setup makes a realm that remembers as many passwords.
func setup(t *testing.T, history int) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.realm = b.RealmOf(t, realm.New{Slug: "acme", Name: "Acme", Settings: realm.Settings{Password: realm.PasswordPolicy{History: history}}})
	people := user.NewStore(b.Clock.Now, rand.Reader)
	b.inTx(t, func(tx realm.Tx) error {
		for name, id := range map[string]*uuid.UUID{"ana": &b.ana, "bob": &b.bob} {
			given, err := user.Canonical(name)
			if err != nil {
				return err
			}
			u, err := people.Create(t.Context(), tx, user.New{Status: user.Active, Names: []user.Identifier{given}})
			if err != nil {
				return err
			}
			*id = u.ID
		}
		return nil
	})
	return b
}

func (b *bundle) inTx(t *testing.T, fn func(tx realm.Tx) error) {
	t.Helper()
	require.NoError(t, b.realm.InTx(t.Context(), fn))
}

func (b *bundle) set(t *testing.T, person uuid.UUID, hash string) {
	t.Helper()
	b.inTx(t, func(tx realm.Tx) error {
		return password.Set(t.Context(), tx, person, hash, b.Clock.Advance(time.Second))
	})
}

func (b *bundle) find(t *testing.T) password.Candidate {
	t.Helper()
	c, err := password.Find(t.Context(), b.realm, "ana", b.Clock.Now())
	require.NoError(t, err)
	return c
}

func (b *bundle) used(t *testing.T, person uuid.UUID) []string {
	t.Helper()
	used, err := password.Used(t.Context(), b.realm, person)
	require.NoError(t, err)
	return used
}

func (b *bundle) stored(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.realm.QueryRow(t.Context(), "SELECT count(*) FROM password_history").Scan(&n))
	return n
}

func (b *bundle) events(t *testing.T, kind string) (n int) {
	t.Helper()
	require.NoError(t, b.realm.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE type = $1", kind).Scan(&n))
	return n
}

func TestPW12_TheLatestPasswordsAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		history int
		want    []string
	}{
		{0, []string{"h5"}}, {1, []string{"h5"}}, {2, []string{"h5", "h4"}}, {4, []string{"h5", "h4", "h3", "h2"}}, {24, []string{"h5", "h4", "h3", "h2", "h1"}},
	} {
		t.Run(fmt.Sprintf("%d_of_them", c.history), func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.history)
			require.Empty(t, b.used(t, b.ana), "who has no password has used none")
			for i := range 5 {
				b.set(t, b.ana, fmt.Sprintf("h%d", i+1))
			}
			b.set(t, b.bob, "other")
			require.Equal(t, c.want, b.used(t, b.ana))
			require.Equal(t, len(c.want)-1, b.stored(t), "no more is stored than is needed")
			require.Equal(t, []string{"other"}, b.used(t, b.bob))
		})
	}
	t.Run("fewer_when_the_realm_asks_for_fewer", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 4)
		for i := range 5 {
			b.set(t, b.ana, fmt.Sprintf("h%d", i+1))
		}
		fewer := *b.realm.Facts
		fewer.Settings.Password.History = 2
		b.realm.Facts = &fewer
		require.Equal(t, []string{"h5", "h4"}, b.used(t, b.ana))
		b.set(t, b.ana, "h6")
		require.Equal(t, 1, b.stored(t))
	})
	t.Run("until_the_person_is_deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 4)
		b.set(t, b.ana, "h1")
		b.set(t, b.ana, "h2")
		require.Equal(t, 1, b.stored(t))
		b.inTx(t, func(tx realm.Tx) error {
			if _, err := tx.Exec(t.Context(), "DELETE FROM users WHERE id = $1", b.ana); err != nil {
				return err
			}
			return event.Record(t.Context(), tx, user.Updated{Subject: event.Subject{User: b.ana}}, b.Clock.Now())
		})
		require.Zero(t, b.stored(t))
	})
	t.Run("also_when_two_change_at_once", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 24)
		b.set(t, b.ana, "h0")
		done := make(chan error)
		for i := range 5 {
			go func() {
				done <- b.realm.InTx(t.Context(), func(tx realm.Tx) error {
					return password.Set(t.Context(), tx, b.ana, fmt.Sprintf("h%d", i+1), b.Clock.Now())
				})
			}()
		}
		for range 5 {
			require.NoError(t, <-done)
		}
		require.ElementsMatch(t, []string{"h0", "h1", "h2", "h3", "h4", "h5"}, b.used(t, b.ana))
	})
}

func TestPW12_ReuseIsFound(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	var used []string
	for _, p := range []string{"the current one", "the one before", "the oldest"} {
		encoded, err := h.Hash(t.Context(), p)
		require.NoError(t, err)
		used = append(used, encoded)
	}
	used = append(used, vectors()["bcrypt 2b"].plain, "no hash at all")
	for candidate, want := range map[string]bool{
		"the current one": true, "the one before": true, "the oldest": true, plain: true, "another": false, "The oldest": false,
	} {
		reused, err := h.Reused(t.Context(), candidate, used, 6)
		require.NoError(t, err)
		require.Equal(t, want, reused, candidate)
	}
	reused, err := h.Reused(t.Context(), "another", nil, 2)
	require.NoError(t, err)
	require.False(t, reused)
}

// counting counts how often somebody derives a context with a time limit from it, as every hash does.
type counting struct {
	context.Context
	n *int
}

func (c counting) Deadline() (time.Time, bool) {
	*c.n++
	return c.Context.Deadline()
}

func TestPW12_ReuseCostsTheSameWhateverIsFound(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	first, err := h.Hash(t.Context(), "the current one")
	require.NoError(t, err)
	last, err := h.Hash(t.Context(), "the oldest")
	require.NoError(t, err)
	hashes := func(candidate string, used []string, count int) (n int) {
		_, err := h.Reused(counting{t.Context(), &n}, candidate, used, count)
		require.NoError(t, err)
		return n
	}
	want := hashes("another", nil, 3)
	require.Positive(t, want)
	require.Equal(t, 2*want, hashes("another", nil, 6))
	for _, candidate := range []string{"the current one", "the oldest", "another"} {
		for _, used := range [][]string{{first, last}, {first, first, last}, {first}, {"no hash", last}} {
			require.Equal(t, want, hashes(candidate, used, 3), "%s of %d", candidate, len(used))
		}
	}
}

func TestPW13_AChangeCanBeDemanded(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	demand := func(person uuid.UUID, why password.Reason) (changed bool) {
		b.inTx(t, func(tx realm.Tx) (err error) {
			changed, err = password.MustChange(t.Context(), tx, person, why, b.Clock.Now())
			return err
		})
		return changed
	}
	require.False(t, demand(b.ana, password.ByAdmin))
	require.Empty(t, b.find(t).MustChange, "who has no password has nothing to change")
	require.Zero(t, b.events(t, "password.change_demanded"))

	b.set(t, b.ana, "h1")
	changed := b.Clock.Now()
	require.Equal(t, password.Candidate{ID: b.ana, Subject: b.find(t).Subject, Active: true, Counter: b.ana.String(), Hash: "h1", ChangedAt: changed}, b.find(t))
	for i, why := range []password.Reason{password.ByAdmin, password.Breached, password.ByPolicy} {
		require.True(t, demand(b.ana, why))
		require.False(t, demand(b.ana, why), "once")
		require.Equal(t, why, b.find(t).MustChange)
		require.Equal(t, "h1", b.find(t).Hash, "the person still signs in with it")
		require.Equal(t, i+1, b.events(t, "password.change_demanded"))
	}
	b.inTx(t, func(tx realm.Tx) error { return password.Upgrade(t.Context(), tx, b.ana, "h1", "h2", b.Clock.Now()) })
	require.Equal(t, password.ByPolicy, b.find(t).MustChange, "a stronger hash is the same password")
	require.Equal(t, changed, b.find(t).ChangedAt)
	b.set(t, b.ana, "h3")
	require.Empty(t, b.find(t).MustChange)
}

func TestPW13_AOneTimePasswordExpires(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	b.set(t, b.ana, "own")
	expires := b.Clock.Now().Add(time.Hour)
	b.inTx(t, func(tx realm.Tx) error {
		return password.SetTemporary(t.Context(), tx, b.ana, "given", expires, b.Clock.Now())
	})
	require.Equal(t, password.Temporary, b.find(t).MustChange)
	require.Equal(t, "given", b.find(t).Hash)
	require.Equal(t, []string{"given", "own"}, b.used(t, b.ana), "neither may become the next one")
	require.Equal(t, 1, b.events(t, "password.change_demanded"))

	b.Clock.Set(expires.Add(-time.Second))
	require.Equal(t, "given", b.find(t).Hash)
	b.Clock.Set(expires)
	require.Empty(t, b.find(t).Hash, "it does not sign in any more")

	b.set(t, b.ana, "chosen")
	b.Clock.Advance(24 * time.Hour)
	require.Equal(t, "chosen", b.find(t).Hash, "the person's own does not expire with it")
	require.Empty(t, b.find(t).MustChange)
}
