package flow

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/attempt"
	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Guard stands before every comparison of what somebody typed with what they should know: no step compares a secret
// without asking it (LG-10). Passwords, and mailed codes of each purpose, have counters of their own (LG-05); what a
// failure costs is the realm's (realm.Throttling).
type Guard struct{ Passwords, Codes attempt.Counters }

// Password counts a try at an account's password (Account), wherever it is asked for. When it must wait, the answer is
// as for a wrong one, without a comparison.
func (g Guard) Password(ctx context.Context, r realm.Realm, account string, from netip.Addr) (try attempt.Reservation, wait time.Duration, err error) {
	return g.Passwords.Await(ctx, r, r.Settings.Throttling.Passwords, passwordOf(account, from))
}

// Code counts a try at a mailed code; see Password.
func (g Guard) Code(ctx context.Context, r realm.Realm, p challenge.Purpose, account string, from netip.Addr) (try attempt.Reservation, wait time.Duration, err error) {
	return g.Codes.Await(ctx, r, r.Settings.Throttling.Codes, attempt.Try{Secret: "code." + string(p), Account: account, Address: from})
}

// Recovered forgets the wrong passwords of an account whose owner has replaced it, and lets them in from where they
// are, whatever strangers try meanwhile (LG-04).
func (g Guard) Recovered(ctx context.Context, r realm.Realm, account string, from netip.Addr) error {
	return g.Passwords.Recovered(ctx, r, passwordOf(account, from))
}

func passwordOf(account string, from netip.Addr) attempt.Try {
	return attempt.Try{Secret: "password", Account: account, Address: from}
}
