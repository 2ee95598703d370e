package challenge_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// live tells whether a challenge could still be shown back.
func (b *bundle) live(t testing.TB, id uuid.UUID) bool {
	t.Helper()
	return list[bool](t, b, `SELECT ended_at IS NULL AND NOT void AND expires_at > $2 FROM challenges WHERE id = $1`, id, b.Clock.Now())[0]
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
			require.Equal(t, challenge.Wrong, verdict, "as one that was sent to nobody: %s", p)
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
		require.Equal(t, []int{1}, list[int](t, b, `SELECT count(*)::int FROM challenges WHERE ended_at IS NULL AND NOT void`))
	})
}

// A registration holds the hash of a password and what the person said of themselves.
func TestRS01_ARegistrationIsSealedAndGoneWhenItIsOver(t *testing.T) {
	t.Parallel()
	secret := []byte(`{"hash":"$argon2id$canary"}`)
	b := setup(t)
	ask := func(flow string) mailed {
		m := b.sendAs(t, challenge.New{Purpose: challenge.Verify, Address: flow + "@example.test", Tx: flow, Payload: secret})
		sealed := list[[]byte](t, b, `SELECT payload FROM challenges WHERE id = $1`, m.ID)[0]
		require.NotEmpty(t, sealed)
		require.False(t, bytes.Contains(sealed, []byte("canary")))
		require.NotContains(t, b.dump(t), "canary")
		require.NotContains(t, b.dump(t), hex.EncodeToString([]byte("canary")))
		return m
	}
	gone := func(m mailed) {
		t.Helper()
		require.Equal(t, []bool{true}, list[bool](t, b, `SELECT payload IS NULL FROM challenges WHERE id = $1`, m.ID))
	}
	for name, over := range map[string]func(m mailed){
		"link": func(m mailed) {
			c, err := b.redeem(t, b.acme, challenge.Verify, m.Token)
			require.NoError(t, err)
			require.Equal(t, secret, c.Payload)
		},
		"code": func(m mailed) {
			c, verdict := b.try(t, b.acme, challenge.Verify, "code", m.Code)
			require.Equal(t, challenge.Right, verdict)
			require.Equal(t, secret, c.Payload)
		},
		"replaced": func(mailed) {
			b.sendAs(t, challenge.New{Purpose: challenge.Verify, Address: "other@example.test", Tx: "replaced"})
		},
		"left": func(mailed) {
			require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error { return challenge.End(t.Context(), tx, "left", b.Clock.Now()) }))
		},
		"made": func(m mailed) {
			require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
				require.NoError(t, challenge.Assign(t.Context(), tx, m.ID, uuid.New()))
				return event.Record(t.Context(), tx, challenge.Ended{}, b.Clock.Now())
			}))
		},
	} {
		m := ask(name)
		over(m)
		gone(m)
	}
	m := ask("expired")
	b.Clock.Advance(24 * time.Hour)
	b.clean(t, 100)
	require.Empty(t, list[uuid.UUID](t, b, `SELECT id FROM challenges WHERE id = $1`, m.ID))
}

// clean has the background work clean up once, and says how many there were.
func (b *bundle) clean(t testing.TB, most int32) (n int64) {
	t.Helper()
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
		if n, err = challenge.Clean(t.Context(), tx, b.Clock.Now(), most); err != nil {
			return err
		}
		return event.Record(t.Context(), tx, challenge.Ended{}, b.Clock.Now())
	}))
	return n
}

func TestCleanRemovesOnlyWhatIsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	elsewhere := b.Realm(t, "other")
	kept := map[uuid.UUID]bool{}
	for _, p := range purposes {
		m := b.send(t, challenge.New{Purpose: p, Tx: string(p)})
		kept[m.ID] = p == challenge.Verify || p == challenge.Invite
	}
	require.NoError(t, elsewhere.InTx(t.Context(), func(tx realm.Tx) error {
		_, err := b.mailer.Send(t.Context(), tx, challenge.New{Purpose: challenge.Reset, Address: address}, challenge.Letter{}, b.Clock.Now())
		return err
	}))
	require.Zero(t, b.clean(t, 100))
	b.Clock.Advance(time.Hour)
	require.EqualValues(t, 1, b.clean(t, 1), "a batch")
	require.EqualValues(t, 1, b.clean(t, 100))
	left := map[uuid.UUID]bool{}
	for _, id := range list[uuid.UUID](t, b, `SELECT id FROM challenges`) {
		left[id] = true
	}
	for id, stays := range kept {
		require.Equal(t, stays, left[id])
	}
	var others int
	require.NoError(t, elsewhere.QueryRow(t.Context(), `SELECT count(*) FROM challenges`).Scan(&others))
	require.Equal(t, 1, others)
}
