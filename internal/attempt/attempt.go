// Package attempt counts failed tries at what somebody should know (passwords, codes), and makes whoever fails too
// often wait. It owns the table attempts.
//
// It counts in the database, where the accounts are, and not where limits of package limit are counted. A limit bounds
// what things cost; these counts are what a password's strength rests on. They are therefore exact whatever runs: one
// budget for any number of processes, with Redis, without it and while it dies, and after a restart. A try costs a
// password's hash already, beside which two small transactions are little.
//
// # What failures cost
//
// There are three counters of each try: of the account, of the client address, and of the pair of both. The figures
// are the realm's (realm.Throttling), by default:
//
//	account  5 failures free, then 1 s, 2 s, 4 s … 15 min between tries;
//	         from the 100th consecutive failure on 12 h; forgotten after 24 h
//	pair     the same
//	address  50 failures free, then 1 s, 2 s, 4 s … 15 min; one failure is
//	         forgotten every 12 s
//
// A try is counted before the slow check and given back when it succeeds, so that parallel guesses together never get
// more than the budget. A try that is refused is not counted: hammering does not prolong the wait.
//
// Nothing locks for good. From an address where the account has signed in within 30 days, the account's own delay does
// not apply, only that pair's and the address's; a stranger who keeps failing elsewhere cannot keep the owner out there.
// Five failures from that address end the exception. Recovering the account clears its counters and trusts the address
// it was recovered from ([Counters.Recovered]).
//
// Counters go by canonical names, so that all spellings of one share a counter, and a name that nobody has is counted as
// one that somebody has. A counter under another name begins anew, which is how an administrator has an account's
// failures forgotten (user.Counter). The table holds MACs of names and addresses, not themselves.
package attempt

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Try is what is tried.
type Try struct {
	// Secret is the kind of secret. Each has counters of its own (LG-05).
	Secret string
	// Account is the account's counter where it exists, else the canonical name that was typed, so that known and
	// unknown names behave alike.
	Account string
	// Address is the client's; see limit.Prefix for what counts as one.
	Address netip.Addr
}

// The counters of a try.
const (
	account = iota
	address
	pair
	kinds
)

// names are the names of its counters.
func (t Try) names(r realm.Realm) (names [kinds]string, err error) {
	mac, err := r.MAC("attempt.counter")
	if err != nil {
		return names, fmt.Errorf("name the counters of a try: %w", err)
	}
	from := limit.Prefix(t.Address)
	for k, parts := range [kinds][]string{account: {t.Account}, address: {from}, pair: {t.Account, from}} {
		whole := [][]byte{[]byte(t.Secret), {byte(k)}}
		for _, part := range parts {
			whole = append(whole, []byte(part))
		}
		sum, err := mac.Sum(whole...)
		if err != nil {
			return names, fmt.Errorf("name the counters of a try: %w", err)
		}
		names[k] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return names, nil
}

// Counters count tries. The zero value lacks the clock.
type Counters struct {
	Now func() time.Time
	// Decided is told whether a try was let in; nil is nobody.
	Decided func(ok bool)
}

// Reserve counts the try as failed and returns a reservation to settle when the outcome is known. When it must wait,
// nothing is counted and the result is how long; the caller then answers as for a failure and does not check. Nor does
// it check when there is an error: what cannot be counted must not be tried.
func (c Counters) Reserve(ctx context.Context, r realm.Realm, g realm.Guesses, t Try) (Reservation, time.Duration, error) {
	v := Reservation{realm: r, now: c.Now, policies: policies(g)}
	var err error
	if v.names, err = t.names(r); err != nil {
		return Reservation{}, 0, err
	}
	wait, err := v.reserve(ctx)
	if err != nil {
		return Reservation{}, 0, fmt.Errorf("count a try: %w", err)
	}
	if c.Decided != nil {
		c.Decided(wait == 0)
	}
	if wait > 0 {
		return Reservation{}, wait, nil
	}
	return v, 0, nil
}

// reserve returns the time to wait instead. Whoever must wait learns it without a lock: however many hammer at an account,
// they do not hold up those who may try.
func (v *Reservation) reserve(ctx context.Context) (wait time.Duration, err error) {
	now, err := read(ctx, v.realm, v.names)
	if err != nil {
		return 0, err
	}
	if _, wait = admit(v.policies, &now, v.moment()); wait > 0 {
		return wait, nil
	}
	err = change(ctx, v.realm, v.names, func(s *[kinds]state) bool {
		v.locks, wait = admit(v.policies, s, v.moment())
		return wait == 0
	})
	return wait, err
}

// patience is how long Await waits. It asks again after askAgain, and after twice as long each time, up to askSeldom.
const (
	patience  = time.Second
	askAgain  = 25 * time.Millisecond
	askSeldom = 200 * time.Millisecond
)

// Await is Reserve for a person at a page: when what stands in the way are tries that are still being checked, or a delay
// that is over in a moment, it waits that moment out instead of refusing. Many people who sign in at once from one
// address, or one person in several windows, are then served in turn. The budget is the same.
func (c Counters) Await(ctx context.Context, r realm.Realm, g realm.Guesses, t Try) (Reservation, time.Duration, error) {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for pause := askAgain; ; pause = min(2*pause, askSeldom) {
		v, wait, err := c.Reserve(ctx, r, g, t)
		if err != nil || wait == 0 || wait > patience {
			return v, wait, err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-enough.C:
			again.Stop()
			return v, wait, nil
		case <-ctx.Done():
			again.Stop()
			return v, wait, ctx.Err()
		}
	}
}

// Recovered forgets the failures of the account and of the pair and trusts the pair, after the person has proved otherwise
// who they are (a reset link). The address's are left alone.
func (c Counters) Recovered(ctx context.Context, r realm.Realm, t Try) error {
	names, err := t.names(r)
	if err != nil {
		return err
	}
	v := Reservation{realm: r, now: c.Now, names: names}
	return v.settle(ctx, v.succeed)
}

// Reservation is one try that counts as failed until it is settled. Settle it once. The zero value settles nothing.
type Reservation struct {
	realm    realm.Realm
	now      func() time.Time
	policies [kinds]policy
	names    [kinds]string
	locks    [kinds]time.Time
}

// Succeeded forgets the failures of the account and of the pair and trusts the pair. The address only gets this try back:
// whoever owns one account must not be able to wipe out guesses at others. An error means that it stays counted.
func (v Reservation) Succeeded(ctx context.Context) error {
	return v.settle(ctx, func(s *[kinds]state) {
		v.succeed(s)
		s[address] = v.policies[address].refunded(s[address], v.locks[address])
	})
}

// Failed leaves the try counted. It does nothing and exists so that all outcomes read alike.
func (v Reservation) Failed() {}

// Withdraw gives the try back on every counter, for when it could not be checked at all (too many hashes at once). An
// error means that it stays counted.
func (v Reservation) Withdraw(ctx context.Context) error {
	return v.settle(ctx, func(s *[kinds]state) {
		for k := range s {
			s[k] = v.policies[k].refunded(s[k], v.locks[k])
		}
	})
}

func (v Reservation) succeed(s *[kinds]state) {
	s[account], s[pair] = state{}, state{trusted: v.moment().Add(trustPeriod)}
}

// settle does not depend on whether the caller still waits.
func (v Reservation) settle(ctx context.Context, do func(s *[kinds]state)) error {
	if v.now == nil {
		return nil
	}
	err := change(context.WithoutCancel(ctx), v.realm, v.names, func(s *[kinds]state) bool { do(s); return true })
	if err != nil {
		return fmt.Errorf("settle a try: %w", err)
	}
	return nil
}

// moment is the time as the database keeps it.
func (v Reservation) moment() time.Time { return v.now().Truncate(time.Microsecond) }
