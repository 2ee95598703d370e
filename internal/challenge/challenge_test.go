package challenge_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// live tells whether a challenge could still be shown back.
func (b *bundle) live(t testing.TB, id uuid.UUID) bool {
	t.Helper()
	return list[bool](t, b, `SELECT ended_at IS NULL AND expires_at > $2 FROM challenges WHERE id = $1`, id, b.Clock.Now())[0]
}

// A decoy names the owner of the address, to whom the note about it goes.
func TestRS07_ADecoyEndsNothingOfTheOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := b.send(t, challenge.New{Purpose: challenge.Verify, Tx: "the owner's"})
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
		n := challenge.New{Purpose: challenge.Verify, User: b.ana, Address: address, Tx: "a stranger's", Decoy: true}
		_, err := b.mailer.Send(t.Context(), tx, n, challenge.Letter{Template: notify.AlreadyRegistered}, b.Clock.Now())
		return err
	}))
	require.True(t, b.live(t, own.ID))
	b.send(t, challenge.New{Purpose: challenge.Verify, Tx: "the owner's other window"})
	require.False(t, b.live(t, own.ID), "a newer one of their own does")
}

func TestRS07_ANewerOneKillsTheOlder(t *testing.T) {
	t.Parallel()
	t.Run("of the person and purpose, in whatever window", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		of := map[challenge.Purpose]mailed{}
		for _, p := range purposes {
			of[p] = b.send(t, challenge.New{Purpose: p, Tx: "first " + string(p)})
		}
		for _, p := range purposes {
			newer := b.send(t, challenge.New{Purpose: p, Tx: "second " + string(p)})
			_, err := b.redeem(t, b.acme, p, of[p].Token)
			require.ErrorIs(t, err, realm.ErrUnknown, p)
			_, verdict := b.try(t, b.acme, p, "first "+string(p), of[p].Code)
			require.Equal(t, challenge.Dead, verdict, p)
			of[p] = newer
		}
		for _, p := range purposes {
			_, err := b.redeem(t, b.acme, p, of[p].Token)
			require.NoError(t, err, "other purposes are left alone: %s", p)
		}
	})
	t.Run("that the window waits for, whoever it was for", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.sendAs(t, challenge.New{Purpose: challenge.Verify, Address: "one@example.test", Tx: "window"})
		second := b.sendAs(t, challenge.New{Purpose: challenge.Verify, Address: "two@example.test", Tx: "window"})
		require.False(t, b.live(t, first.ID))
		require.True(t, b.live(t, second.ID))
	})
	t.Run("when it is the same one sent again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.send(t, challenge.New{Purpose: challenge.Reset, Tx: "window", Shown: "ana"})
		require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
			id, err := b.mailer.Again(t.Context(), tx, "window", challenge.Letter{}, b.Clock.Now())
			require.NotEqual(t, first.ID, id)
			return err
		}))
		require.False(t, b.live(t, first.ID))
		_, verdict := b.try(t, b.acme, challenge.Reset, "window", wrong(first.Code))
		require.Equal(t, challenge.Wrong, verdict, "there is another one to be tried")
	})
	t.Run("when many are asked for at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for n, err := range together(func(n int) error {
			return b.acme.InTx(t.Context(), func(tx realm.Tx) error {
				who := challenge.New{Purpose: challenge.Reset, User: b.ana, Address: address, Tx: fmt.Sprint(n)}
				_, err := b.mailer.Send(t.Context(), tx, who, challenge.Letter{}, b.Clock.Now())
				return err
			})
		}) {
			require.NoError(t, err, n)
		}
		require.Equal(t, []int{1}, list[int](t, b, `SELECT count(*)::int FROM challenges WHERE ended_at IS NULL`))
	})
}
