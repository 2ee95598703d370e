package challenge_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// A decoy names the owner of the address, to whom the note about it goes.
func TestRS07_ADecoyEndsNothingOfTheOwners(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	acme, owner := b.Realm(t, "acme"), uuid.New()
	mailer := challenge.Mailer{Random: rand.Reader}
	send := func(n challenge.New, l challenge.Letter) (id uuid.UUID) {
		n.Purpose, n.User, n.Address = challenge.Verify, owner, "ana@example.test"
		require.NoError(t, acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
			id, err = mailer.Send(t.Context(), tx, n, l, b.Clock.Now())
			return err
		}))
		return id
	}
	live := func(id uuid.UUID) error {
		return acme.InTx(t.Context(), func(tx realm.Tx) error { return waiting(t.Context(), tx, b, id) })
	}
	own := send(challenge.New{Tx: "the owner's"}, challenge.Letter{})
	send(challenge.New{Tx: "a stranger's", Decoy: true}, challenge.Letter{Template: notify.AlreadyRegistered})
	require.NoError(t, live(own))
	send(challenge.New{Tx: "the owner's other window"}, challenge.Letter{})
	require.ErrorIs(t, live(own), realm.ErrUnknown, "a newer one of their own does")
}

func waiting(ctx context.Context, tx realm.Tx, b *testdb.Bundle, id uuid.UUID) error {
	_, err := challenge.Waiting(ctx, tx, id, b.Clock.Now())
	return err
}
