package consent_test

import (
	"crypto/rand"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/consent"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

type bundle struct {
	*testdb.Bundle
	realm realm.Realm
	ann   uuid.UUID
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.realm = b.Realm(t, "acme")
	b.in(t, func(tx realm.Tx) error {
		u, err := user.NewStore(b.Clock.Now, rand.Reader).Create(t.Context(), tx, user.New{Status: user.Active})
		b.ann = u.ID
		return err
	})
	return b
}

func (b *bundle) in(t *testing.T, do func(tx realm.Tx) error) {
	t.Helper()
	require.NoError(t, b.realm.InTx(t.Context(), do))
}

func (b *bundle) grant(t *testing.T, client string, scopes ...string) {
	t.Helper()
	b.in(t, func(tx realm.Tx) error { return consent.Grant(t.Context(), tx, b.ann, client, scopes, b.Clock.Now()) })
}

func (b *bundle) withdraw(t *testing.T, client string, scopes ...string) {
	t.Helper()
	b.in(t, func(tx realm.Tx) error {
		return consent.Withdraw(t.Context(), tx, b.ann, client, scopes, b.Clock.Now())
	})
}

// stored lists what is remembered, as "client scopes".
func (b *bundle) stored(t *testing.T, r realm.Realm) []string {
	t.Helper()
	rows, err := r.Query(t.Context(), `SELECT client_id || ' ' || array_to_string(scopes, ',') FROM consents ORDER BY client_id`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func (b *bundle) events(t *testing.T) []string {
	t.Helper()
	rows, err := b.realm.Query(t.Context(), `SELECT type || ' ' || (data->>'scopes') FROM events WHERE type LIKE 'consent.%' ORDER BY seq`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestGrant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, "notes", "openid", "email")
	b.grant(t, "notes", "email", "phone", "phone")
	b.grant(t, "notes", "openid")
	b.grant(t, "shop", "openid")
	require.Equal(t, []string{"notes openid,email,phone", "shop openid"}, b.stored(t, b.realm))
	require.Equal(t, []string{`consent.granted ["openid", "email"]`, `consent.granted ["phone"]`, `consent.granted ["openid"]`}, b.events(t), "what changes nothing is no event")
	require.Empty(t, b.stored(t, b.Realm(t, "other")), "another realm sees nothing of it")
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, "notes", "openid", "email", "phone")
	b.withdraw(t, "notes", "address")
	b.withdraw(t, "notes", "email", "address")
	require.Equal(t, []string{"notes openid,phone"}, b.stored(t, b.realm))
	b.withdraw(t, "notes", "openid", "phone")
	require.Empty(t, b.stored(t, b.realm), "nothing left is nothing remembered")
	b.withdraw(t, "notes", "openid")
	require.Equal(t, []string{`consent.revoked ["email"]`, `consent.revoked ["openid", "phone"]`}, b.events(t)[1:])
}

func TestForgetIsRecordedOrRolledBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, "notes", "openid")
	err := b.realm.InTx(t.Context(), func(tx realm.Tx) error {
		scopes, err := consent.Forget(t.Context(), tx, b.ann, "notes")
		require.Equal(t, []string{"openid"}, scopes)
		return err
	})
	require.Error(t, err, "a change without an event")
	require.Equal(t, []string{"notes openid"}, b.stored(t, b.realm))
	b.in(t, func(tx realm.Tx) error {
		scopes, err := consent.Forget(t.Context(), tx, b.ann, "nobody")
		require.Nil(t, scopes)
		return err
	})
}
