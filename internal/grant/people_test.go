package grant_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func (b *bundle) issueOffline(t *testing.T, client string) grant.Code {
	t.Helper()
	code, err := grant.NewCode(rand.Reader)
	require.NoError(t, err)
	now := b.Clock.Now()
	require.NoError(t, grant.Issue(t.Context(), b.realm.Write(), grant.Grant{
		ClientID: client, UserID: b.ann.ID, SessionID: b.session, AuthTime: now, ACR: "1", Offline: true,
		CreatedAt: now, CodeExpiresAt: now.Add(time.Minute), EndsAt: now.Add(90 * 24 * time.Hour),
	}, code))
	return code
}

func (b *bundle) revokeAll(t *testing.T, person uuid.UUID) (n int64) {
	t.Helper()
	require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) (err error) {
		n, err = grant.RevokeByUser(t.Context(), tx, person, b.Clock.Now())
		return err
	}))
	return n
}

func TestTK06_EverythingAPersonAuthorizedEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	codes := []grant.Code{b.issue(t), b.issueOffline(t, "wiki"), b.issueOffline(t, "shop")}

	t.Run("nobody else's", func(t *testing.T) {
		require.Zero(t, b.revokeAll(t, uuid.New()))
		require.True(t, b.read(t, codes[0]).Usable(b.Clock.Now()))
	})
	t.Run("offline access too", func(t *testing.T) {
		require.EqualValues(t, 3, b.revokeAll(t, b.ann.ID))
		for _, code := range codes {
			require.False(t, b.read(t, code).Usable(b.Clock.Now()))
		}
	})
	t.Run("once, and one event tells of all", func(t *testing.T) {
		require.Zero(t, b.revokeAll(t, b.ann.ID))
		require.Equal(t, []string{"grant.all_revoked"}, b.events(t))
		var data string
		require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT data::text FROM events WHERE type = 'grant.all_revoked'`).Scan(&data))
		require.JSONEq(t, `{"grants": 3, "clients": ["shop", "wiki"]}`, data)
	})
}
