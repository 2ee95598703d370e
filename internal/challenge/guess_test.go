package challenge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

func TestRS01_ALinkIsSpentOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, p := range purposes {
		m := b.send(t, challenge.New{Purpose: p, Payload: []byte("an account")})
		won := 0
		for _, err := range together(func(int) error {
			_, err := b.redeem(t, b.acme, p, m.Token)
			return err
		}) {
			if err == nil {
				won++
				continue
			}
			require.ErrorIs(t, err, realm.ErrUnknown)
		}
		require.Equal(t, 1, won, p)
		_, err := challenge.Look(t.Context(), b.acme, p, m.Token, b.Clock.Now())
		require.ErrorIs(t, err, realm.ErrUnknown)
	}
	require.Equal(t, len(purposes), b.count(t, challenge.Redeemed{}))
}

func TestRS01_AChallengeExpiresToTheSecond(t *testing.T) {
	t.Parallel()
	life := map[challenge.Purpose]time.Duration{
		challenge.Verify: 24 * time.Hour, challenge.Reset: time.Hour, challenge.Invite: 7 * 24 * time.Hour, challenge.SignIn: 10 * time.Minute,
	}
	b := setup(t)
	for _, p := range purposes {
		flow := string(p)
		m := b.send(t, challenge.New{Purpose: p, Tx: flow})
		b.Clock.Advance(10*time.Minute - time.Second)
		_, verdict := b.try(t, b.acme, p, flow, wrong(m.Code))
		require.Equal(t, challenge.Wrong, verdict, p)
		b.Clock.Advance(time.Second)
		_, verdict = b.try(t, b.acme, p, flow, m.Code)
		require.Equal(t, challenge.Dead, verdict, "a code of ten minutes: %s", p)

		again := b.send(t, challenge.New{Purpose: p})
		b.Clock.Advance(life[p] - time.Second)
		_, err := challenge.Look(t.Context(), b.acme, p, again.Token, b.Clock.Now())
		require.NoError(t, err, p)
		b.Clock.Advance(time.Second)
		_, err = challenge.Look(t.Context(), b.acme, p, again.Token, b.Clock.Now())
		require.ErrorIs(t, err, realm.ErrUnknown, p)
		_, err = b.redeem(t, b.acme, p, again.Token)
		require.ErrorIs(t, err, realm.ErrUnknown, p)
		require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := challenge.Waiting(t.Context(), tx, again.ID, b.Clock.Now())
			require.ErrorIs(t, err, realm.ErrUnknown, p)
			return nil
		}))
	}
	require.Zero(t, b.count(t, challenge.Redeemed{}))
}

func TestRS02_ASecretOfOnePurposeOrRealmIsNoneOfAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.Realm(t, "other")
	for _, p := range purposes {
		flow := "flow of " + string(p)
		m := b.send(t, challenge.New{Purpose: p, Tx: flow})
		refuse := func(r realm.Realm, as challenge.Purpose, token string) {
			t.Helper()
			_, err := challenge.Look(t.Context(), r, as, token, b.Clock.Now())
			require.ErrorIs(t, err, realm.ErrUnknown, "%s as %s", p, as)
			_, err = b.redeem(t, r, as, token)
			require.ErrorIs(t, err, realm.ErrUnknown, "%s as %s", p, as)
			_, verdict := b.try(t, r, as, flow, m.Code)
			require.Equal(t, challenge.Dead, verdict, "%s as %s", p, as)
		}
		for _, as := range purposes {
			if as != p {
				refuse(b.acme, as, m.Token)
			}
			refuse(other, as, m.Token)
		}
		for _, token := range []string{"", m.Token[1:], m.Token + "A", m.Token + m.Token + m.Token + m.Token, m.ID.String()} {
			_, err := b.redeem(t, b.acme, p, token)
			require.ErrorIs(t, err, realm.ErrUnknown)
		}
		_, verdict := b.try(t, b.acme, p, "another flow", m.Code)
		require.Equal(t, challenge.Dead, verdict, "a code belongs to the flow that asked")
		_, verdict = b.try(t, b.acme, p, "", m.Code)
		require.Equal(t, challenge.Dead, verdict)
		require.Equal(t, []int32{0}, list[int32](t, b, `SELECT tries FROM challenges WHERE id = $1`, m.ID), "nothing of it was a try")
		_, verdict = b.try(t, b.acme, p, flow, m.Code)
		require.Equal(t, challenge.Right, verdict, p)
	}
}

// A row that somebody writes to another realm or purpose, or whose MAC they copy, is worth nothing.
func TestRS02_PurposeRealmAndRowArePartOfWhatIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.Realm(t, "other")
	reset := b.send(t, challenge.New{Purpose: challenge.Reset, Tx: "reset"})
	signin := b.send(t, challenge.New{Purpose: challenge.SignIn, Tx: "signin"})
	hashes := func(m mailed) []byte {
		return list[[]byte](t, b, `SELECT token_hash FROM challenges WHERE id = $1`, m.ID)[0]
	}
	require.NotEqual(t, hashes(reset), hashes(signin))
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE challenges SET purpose = 'signin', tx = 'stolen' WHERE id = $1`, reset.ID)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `UPDATE challenges SET code_mac = (SELECT code_mac FROM challenges WHERE id = $1) WHERE id = $2`, reset.ID, signin.ID)
		require.NoError(t, err)
		return event.Record(t.Context(), tx, challenge.Ended{}, b.Clock.Now()) // none of ours
	}))
	_, err := b.redeem(t, b.acme, challenge.SignIn, reset.Token)
	require.ErrorIs(t, err, realm.ErrUnknown)
	_, verdict := b.try(t, b.acme, challenge.SignIn, "stolen", reset.Code)
	require.Equal(t, challenge.Wrong, verdict)
	_, verdict = b.try(t, b.acme, challenge.SignIn, "signin", reset.Code)
	require.Equal(t, challenge.Wrong, verdict)

	require.NoError(t, other.InTx(t.Context(), func(tx realm.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO challenges (id, purpose, address, template, token_hash, code_mac, tx, created_at, code_expires_at, expires_at)
			VALUES ($1, 'signin', '', 'code', $2, $3, 'signin', $4, $5, $5)`, signin.ID, hashes(signin),
			list[[]byte](t, b, `SELECT code_mac FROM challenges WHERE id = $1`, signin.ID)[0], b.Clock.Now(), b.Clock.Now().Add(time.Hour))
		require.NoError(t, err)
		return event.Record(t.Context(), tx, challenge.Ended{}, b.Clock.Now()) // none of ours
	}))
	_, err = b.redeem(t, other, challenge.SignIn, signin.Token)
	require.ErrorIs(t, err, realm.ErrUnknown)
	_, verdict = b.try(t, other, challenge.SignIn, "signin", signin.Code)
	require.Equal(t, challenge.Wrong, verdict)
}

func TestMF05_ACodeIsDeadAfterFiveTries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, p := range purposes {
		flow := string(p)
		m := b.send(t, challenge.New{Purpose: p, Tx: flow, Payload: []byte("an account")})
		for n := range challenge.MaxTries {
			want := challenge.Wrong
			if n == challenge.MaxTries-1 {
				want = challenge.Dead
			}
			_, verdict := b.try(t, b.acme, p, flow, wrong(m.Code))
			require.Equal(t, want, verdict, "try %d of %s", n+1, p)
		}
		refused := b.count(t, challenge.Refused{})
		for _, typed := range []string{m.Code, wrong(m.Code)} {
			_, verdict := b.try(t, b.acme, p, flow, typed)
			require.Equal(t, challenge.Dead, verdict, "the right one, too: %s", p)
		}
		require.Equal(t, refused, b.count(t, challenge.Refused{}))
		require.Equal(t, []int32{challenge.MaxTries}, list[int32](t, b, `SELECT tries FROM challenges WHERE id = $1`, m.ID))
	}
	require.Zero(t, b.count(t, challenge.Redeemed{}))
	// The link is not to be guessed and stays good.
	m := b.send(t, challenge.New{Purpose: challenge.Reset, Tx: "another"})
	for range challenge.MaxTries {
		b.try(t, b.acme, challenge.Reset, "another", wrong(m.Code))
	}
	_, err := b.redeem(t, b.acme, challenge.Reset, m.Token)
	require.NoError(t, err)
}

func TestMF05_ManyTriesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		types    func(n int, code string) string
		won      []int // how many may win
		refusals int   // at most
	}{
		"all wrong": {func(_ int, code string) string { return wrong(code) }, []int{0}, challenge.MaxTries},
		"all right": {func(_ int, code string) string { return code }, []int{1}, 0},
		"one in ten right": {func(n int, code string) string {
			if n%10 == 0 {
				return code
			}
			return wrong(code)
		}, []int{0, 1}, challenge.MaxTries},
	} {
		t.Run(name, func(t *testing.T) {
			m := b.send(t, challenge.New{Purpose: challenge.SignIn, Tx: name, Payload: []byte("an account")})
			before, redeemed := b.count(t, challenge.Refused{}), b.count(t, challenge.Redeemed{})
			verdicts := map[challenge.Verdict]int{}
			for _, v := range together(func(n int) challenge.Verdict {
				_, v := b.try(t, b.acme, challenge.SignIn, name, c.types(n, m.Code))
				return v
			}) {
				verdicts[v]++
			}
			require.Contains(t, c.won, verdicts[challenge.Right])
			require.LessOrEqual(t, b.count(t, challenge.Refused{})-before, c.refusals)
			require.LessOrEqual(t, verdicts[challenge.Right]+verdicts[challenge.Wrong], challenge.MaxTries)
			require.Equal(t, verdicts[challenge.Right], b.count(t, challenge.Redeemed{})-redeemed)
			require.LessOrEqual(t, list[int32](t, b, `SELECT tries FROM challenges WHERE id = $1`, m.ID)[0], int32(challenge.MaxTries))
		})
	}
}

func TestADecoyCanBeTriedAndNeverSucceeds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.sendAs(t, challenge.New{Purpose: challenge.Reset, Address: "nobody", Tx: "decoy", Decoy: true})
	for n := range challenge.MaxTries + 1 {
		want := challenge.Wrong
		if n >= challenge.MaxTries-1 {
			want = challenge.Dead
		}
		_, verdict := b.try(t, b.acme, challenge.Reset, "decoy", m.Code)
		require.Equal(t, want, verdict, n)
	}
}

func TestMF05_PeopleMayTypeACodeAsTheyReadIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n, pattern := range []string{"%s %s", "%s-%s", " %s\u00a0%s ", "%s\u2009%s"} {
		flow := fmt.Sprint(n)
		m := b.send(t, challenge.New{Purpose: challenge.Reset, Tx: flow})
		_, verdict := b.try(t, b.acme, challenge.Reset, flow, fmt.Sprintf(pattern, m.Code[:3], m.Code[3:]))
		require.Equal(t, challenge.Right, verdict, pattern)
		_, verdict = b.try(t, b.acme, challenge.Reset, flow, m.Code)
		require.Equal(t, challenge.Dead, verdict, "once, in whatever spelling")
	}
}
