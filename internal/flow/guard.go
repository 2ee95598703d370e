package flow

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Guard stands before every comparison of what somebody typed with what they should know: no step compares a secret
// without asking it (LG-10). Passwords, and mailed codes of each purpose, have counters of their own (LG-05); what a
// failure costs is the realm's (realm.Throttling).
type Guard struct {
	Passwords, Codes *limit.Failures
}

// Password counts a try at an account's password (Account), wherever it is asked for. When it must wait, ok is false,
// and the answer is as for a wrong one, without a comparison.
func (g Guard) Password(ctx context.Context, r realm.Realm, account string, from netip.Addr) (try limit.Reservation, wait time.Duration, ok bool) {
	return g.Passwords.Await(ctx, r.Settings.Throttling.Passwords.Policies(), keys(r, "password", account, from)...)
}

// Code counts a try at a mailed code; see Password.
func (g Guard) Code(ctx context.Context, r realm.Realm, p challenge.Purpose, account string, from netip.Addr) (try limit.Reservation, wait time.Duration, ok bool) {
	return g.Codes.Await(ctx, r.Settings.Throttling.Codes.Policies(), keys(r, "code."+string(p), account, from)...)
}

// Recovered forgets the wrong passwords of an account whose owner has replaced it, and lets them in from where they
// are, whatever strangers try meanwhile (LG-04).
func (g Guard) Recovered(ctx context.Context, r realm.Realm, account string, from netip.Addr) {
	g.Passwords.Recovered(ctx, keys(r, "password", account, from)...)
}

// keys are the counters of a try: the account's, so that all spellings and names of a person share one, the address's,
// and that of the pair of them.
func keys(r realm.Realm, what, account string, address netip.Addr) []limit.Key {
	from := limit.Prefix(address)
	return []limit.Key{
		limit.Account(r.LimitKey(what, "account", account)),
		limit.Address(r.LimitKey(what, "address", from)),
		limit.Pair(r.LimitKey(what, "pair", account, from)),
	}
}
