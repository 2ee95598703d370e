// Package limit bounds how often something may be tried.
//
// It offers two things over one [Source]. [Source.Spend] is a rate by GCRA, for
// events that are fine in themselves (mails sent, registrations). [Failures]
// counts failed sign-ins with delays that grow, on three kinds of key at once:
// account, address, and the pair of both.
//
// The source decides where the numbers live. [Memory] keeps them in the process.
// A source that asks another machine falls back to memory by itself when that
// machine is away: no method can fail, and none ever means "unlimited". Every
// source passes the suite in package limittest.
//
// # What failed sign-ins cost
//
// The figures are those of [DefaultPolicies], unless a realm sets others within
// bounds (realm.Throttling):
//
//	account  5 failures free, then 1 s, 2 s, 4 s … 15 min between attempts;
//	         from the 100th consecutive failure on 12 h; forgotten after 24 h
//	pair     the same
//	address  50 failures free, then 1 s, 2 s, 4 s … 15 min; one failure is
//	         forgotten every 12 s
//
// An attempt is counted before the slow check and given back when it succeeds,
// so that parallel guesses together never get more than the budget. An attempt
// that is refused is not counted: hammering does not prolong the wait.
//
// Nothing locks for good. From an address where the account has signed in
// within 30 days, the account's own delay does not apply, only that pair's and
// the address's; a stranger who keeps failing elsewhere cannot keep the owner
// out there. Five failures from that address end the exception. Recovering the
// account clears its counters and trusts the address it was recovered from
// ([Failures.Recovered]).
//
// Keys are made by the caller and already hold the realm, the kind of
// authenticator and canonical names: each authenticator has counters of its
// own, and all spellings of a name share one. A key under another name begins
// anew, which is how an administrator has an account's failures forgotten
// (user.Counter).
package limit
