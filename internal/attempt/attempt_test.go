package attempt_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/attempt"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

type bundle struct {
	*testdb.Bundle
	attempt.Counters
	realm   realm.Realm
	guesses realm.Guesses
}

// setup has counters with the documented figures.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t)}
	b.Now, b.realm, b.guesses = b.Clock.Now, b.Realm(t, "one"), realm.Settings{}.WithDefaults().Throttling.Passwords
	return b
}

// at is a try at an account from the n-th address.
func at(account string, n int) attempt.Try {
	return attempt.Try{Secret: "password", Account: account, Address: netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)})}
}

const home, far, third = 1001, 1002, 1003

// reserve returns the time to wait instead of a reservation when there is one.
func (b *bundle) reserve(t *testing.T, try attempt.Try) (attempt.Reservation, time.Duration) {
	t.Helper()
	v, wait, err := b.Reserve(t.Context(), b.realm, b.guesses, try)
	require.NoError(t, err)
	return v, wait
}

// guess fails once, when it is let in; else it returns the time to wait.
func (b *bundle) guess(t *testing.T, account string, from int) time.Duration {
	t.Helper()
	v, wait := b.reserve(t, at(account, from))
	v.Failed()
	return wait
}

func (b *bundle) guesses5(t *testing.T, account string, from int) {
	t.Helper()
	for range 5 {
		require.Zero(t, b.guess(t, account, from))
	}
}

func (b *bundle) signIn(t *testing.T, account string, from int) {
	t.Helper()
	v, wait := b.reserve(t, at(account, from))
	require.Zero(t, wait)
	require.NoError(t, v.Succeeded(t.Context()))
}

func TestLG01_ThreeCounters(t *testing.T) {
	t.Parallel()
	t.Run("account_from_many_addresses", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for n := range 5 {
			require.Zero(t, b.guess(t, "alice", n))
		}
		require.Equal(t, time.Second, b.guess(t, "alice", 9))
		require.Zero(t, b.guess(t, "bob", 9))
	})
	t.Run("address_at_many_accounts", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for n := range 50 {
			require.Zero(t, b.guess(t, fmt.Sprint("account", n), home))
		}
		require.Equal(t, time.Second, b.guess(t, "account50", home))
		require.Zero(t, b.guess(t, "account50", far))
	})
	t.Run("pair_though_the_address_is_trusted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", home)
		b.guesses5(t, "alice", home)
		require.Equal(t, time.Second, b.guess(t, "alice", home))
	})
	t.Run("delays_grow_to_fifteen_minutes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
			want *= time.Second
			require.Equal(t, want, b.guess(t, "alice", home))
			b.Clock.Advance(want - time.Millisecond)
			require.Equal(t, time.Millisecond, b.guess(t, "alice", home), "hammering does not prolong it")
			b.Clock.Advance(time.Millisecond)
			require.Zero(t, b.guess(t, "alice", home))
		}
	})
	t.Run("another_realm_has_counters_of_its_own", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		b.realm = b.Realm(t, "two")
		require.Zero(t, b.guess(t, "alice", home))
	})
	t.Run("whoever_waits_costs_nobody_else_anything", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		for range 100 {
			require.NotZero(t, b.guess(t, "alice", far))
		}
		b.guesses5(t, "bob", far)
	})
	t.Run("whoever_waits_is_told_so_while_others_are_counted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtextextended(counter, 0)) FROM attempts")
			require.NoError(t, err)
			require.Equal(t, time.Second, b.guess(t, "alice", far))
			return nil
		}))
	})
	t.Run("the_addresses_failures_leak", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses.Account.Free = 20
		b.guesses.Address.Free = 5
		b.guesses5(t, "alice", home)
		require.Equal(t, time.Second, b.guess(t, "bob", home))
		b.Clock.Advance(30 * time.Second) // two have leaked, and half of the next
		require.Zero(t, b.guess(t, "alice", home))
		require.Zero(t, b.guess(t, "bob", home))
		require.Equal(t, time.Second, b.guess(t, "bob", home))
		b.Clock.Advance(6 * time.Second)
		require.Zero(t, b.guess(t, "bob", home))
		require.Equal(t, time.Second, b.guess(t, "bob", home))
	})
	t.Run("failures_are_forgotten", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 4 {
			b.guess(t, "alice", home)
		}
		b.Clock.Advance(24*time.Hour - time.Second)
		require.Zero(t, b.guess(t, "alice", far))
		require.Equal(t, time.Second, b.guess(t, "alice", far))
		b.Clock.Advance(24 * time.Hour)
		b.guesses5(t, "alice", far)
	})
}

func TestLG01_FiftyParallelGuessesGetFive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var admitted atomic.Int32
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			_, wait, err := b.Reserve(t.Context(), b.realm, b.guesses, at("alice", n))
			if err == nil && wait == 0 {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 5, admitted.Load())
}

func TestLG01_SuccessElsewhereDoesNotResetTheAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 49 {
		require.Zero(t, b.guess(t, fmt.Sprint("account", n), home))
	}
	for range 10 {
		b.signIn(t, "mallory", home)
	}
	require.Zero(t, b.guess(t, "account49", home))
	require.Equal(t, time.Second, b.guess(t, "account50", home))
}

func TestLG02_TheHundredthFailureIsThrottledHard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 100 {
		require.Zero(t, b.guess(t, "alice", home))
		b.Clock.Advance(15 * time.Minute)
	}
	require.Equal(t, 12*time.Hour-15*time.Minute, b.guess(t, "alice", home))
	b.Clock.Advance(12 * time.Hour)
	require.Zero(t, b.guess(t, "alice", home))
	require.Equal(t, 12*time.Hour, b.guess(t, "alice", home))
}

func TestLG04_AStrangerCannotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	t.Run("from_an_address_they_have_used", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", home)
		for range 20 {
			b.Clock.Advance(b.guess(t, "alice", far))
		}
		b.guess(t, "alice", far)
		require.NotZero(t, b.guess(t, "alice", far))
		b.signIn(t, "alice", home)
	})
	t.Run("after_recovery", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", far)
		require.NotZero(t, b.guess(t, "alice", home))
		require.NoError(t, b.Recovered(t.Context(), b.realm, at("alice", home)))
		b.signIn(t, "alice", home)
	})
	t.Run("for_longer_than_the_delay", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", far)
		for range 200 {
			require.Equal(t, time.Second, b.guess(t, "alice", far))
		}
		b.Clock.Advance(time.Second)
		b.signIn(t, "alice", home)
	})
	t.Run("but_five_failures_end_the_exception", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", home)
		b.guesses5(t, "alice", far)
		b.guesses5(t, "alice", home)
		b.Clock.Advance(time.Second) // the pair's delay is over, and so is the account's
		require.Zero(t, b.guess(t, "alice", third))
		require.NotZero(t, b.guess(t, "alice", home), "the account's delay applies again")
	})
	t.Run("and_so_do_thirty_days", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", home)
		b.Clock.Advance(30*24*time.Hour - time.Second)
		b.guesses5(t, "alice", far)
		v, wait := b.reserve(t, at("alice", home))
		require.Zero(t, wait)
		require.NoError(t, v.Withdraw(t.Context()))
		b.Clock.Advance(time.Second)
		require.Zero(t, b.guess(t, "alice", far))
		require.Equal(t, 2*time.Second, b.guess(t, "alice", home))
	})
}

func TestLG05_EachSecretHasCountersOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.guesses5(t, "alice", home)
	code := at("alice", home)
	code.Secret = "code"
	v, wait := b.reserve(t, code)
	require.Zero(t, wait)
	require.NoError(t, v.Succeeded(t.Context()))
	require.Equal(t, time.Second, b.guess(t, "alice", home), "and success with one resets no other")
}

func TestReservation(t *testing.T) {
	t.Parallel()
	t.Run("success_starts_the_account_anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 4 {
			b.guess(t, "alice", home)
		}
		b.signIn(t, "alice", home)
		b.guesses5(t, "alice", home)
		require.NotZero(t, b.guess(t, "alice", home))
	})
	t.Run("withdrawal_counts_nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 60 {
			v, wait := b.reserve(t, at("alice", home))
			require.Zero(t, wait)
			require.NoError(t, v.Withdraw(t.Context()))
		}
	})
	t.Run("withdrawal_ends_the_delay_that_it_caused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		b.Clock.Advance(time.Second)
		v, _ := b.reserve(t, at("alice", home))
		require.Equal(t, 2*time.Second, b.guess(t, "alice", home))
		require.NoError(t, v.Withdraw(t.Context()))
		require.Zero(t, b.guess(t, "alice", home))
		require.Equal(t, 2*time.Second, b.guess(t, "alice", home))
	})
	t.Run("withdrawal_keeps_what_others_caused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		b.Clock.Advance(time.Second)
		v, _ := b.reserve(t, at("alice", home))
		b.Clock.Advance(2 * time.Second)
		require.Zero(t, b.guess(t, "alice", home))
		require.NoError(t, v.Withdraw(t.Context()))
		require.Equal(t, 4*time.Second, b.guess(t, "alice", home))
	})
	t.Run("withdrawal_does_not_shorten_a_delay_that_did_not_matter", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.signIn(t, "alice", home)
		b.guesses5(t, "alice", far)
		v, wait := b.reserve(t, at("alice", home))
		require.Zero(t, wait)
		require.NoError(t, v.Withdraw(t.Context()))
		require.Equal(t, time.Second, b.guess(t, "alice", far))
	})
	t.Run("recovery_leaves_the_address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for n := range 50 {
			b.guess(t, fmt.Sprint(n), home)
		}
		require.NoError(t, b.Recovered(t.Context(), b.realm, at("0", home)))
		require.NotZero(t, b.guess(t, "0", home))
	})
	t.Run("is_settled_though_the_browser_has_gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses5(t, "alice", home)
		b.Clock.Advance(time.Second)
		v, _ := b.reserve(t, at("alice", home))
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		require.NoError(t, v.Succeeded(gone))
		b.guesses5(t, "alice", home)
	})
	t.Run("is_not_to_be_had_by_who_has_gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		_, _, err := b.Reserve(gone, b.realm, b.guesses, at("alice", home))
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("is_not_to_be_had_without_the_database", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.DB.Close()
		_, _, err := b.Reserve(t.Context(), b.realm, b.guesses, at("alice", home))
		require.Error(t, err)
	})
	t.Run("zero_value_settles_nothing", func(t *testing.T) {
		t.Parallel()
		var v attempt.Reservation
		v.Failed()
		require.NoError(t, v.Succeeded(t.Context()))
		require.NoError(t, v.Withdraw(t.Context()))
	})
}

func TestAwait(t *testing.T) {
	t.Parallel()
	t.Run("waits_for_tries_that_are_still_being_checked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var open []attempt.Reservation
		for range 5 {
			v, wait := b.reserve(t, at("alice", home))
			require.Zero(t, wait)
			open = append(open, v)
		}
		refused := make(chan struct{}, 100)
		b.Decided = func(ok bool) {
			if !ok {
				refused <- struct{}{}
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			<-refused
			for _, v := range open {
				if err := v.Withdraw(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		_, wait, err := b.Await(t.Context(), b.realm, b.guesses, at("alice", home))
		require.NoError(t, err)
		require.Zero(t, wait)
		wg.Wait()
	})
	t.Run("does_not_wait_for_what_is_far", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.guesses.Account.FirstDelay = realm.Duration(time.Hour)
		b.guesses5(t, "alice", home)
		_, wait, err := b.Await(t.Context(), b.realm, b.guesses, at("alice", home))
		require.NoError(t, err)
		require.Equal(t, time.Hour, wait)
	})
}

func TestTheTableHoldsNoNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.guess(t, "canary@example.test", home)
	b.signIn(t, "canary", home)
	var rows int
	require.NoError(t, b.realm.QueryRow(t.Context(), "SELECT count(*) FROM attempts").Scan(&rows))
	require.Equal(t, 5, rows, "one address, two accounts, two pairs")
	require.NoError(t, b.realm.QueryRow(t.Context(), "SELECT count(*) FROM attempts a WHERE a::text LIKE '%canary%' OR a::text LIKE '%192.%'").Scan(&rows))
	require.Zero(t, rows)
}

func TestClean(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn(t, "alice", home)
	b.guess(t, "bob", home)
	left := func(after time.Duration) (rows int) {
		b.Clock.Advance(after)
		require.NoError(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := attempt.Clean(t.Context(), tx, b.Clock.Now(), 100)
			return err
		}))
		require.NoError(t, b.realm.QueryRow(t.Context(), "SELECT count(*) FROM attempts").Scan(&rows))
		return rows
	}
	require.Equal(t, 4, left(time.Second), "alice's account has no failures")
	require.Equal(t, 1, left(24*time.Hour), "of bob nothing is remembered")
	require.Equal(t, 0, left(29*24*time.Hour))
}
