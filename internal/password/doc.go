// Package password hashes and verifies passwords and keeps the stored ones.
//
// New hashes are argon2id in PHC form. Hashes that were brought along from elsewhere (package format lists them) are
// verified as they are and replaced at the next good sign-in. Hashing is the costliest thing an anonymous visitor can
// ask for, so every hash takes its share of a memory budget first and waits at most two seconds for it ([ErrBusy]).
//
// A process may have peppers: keys outside of the database, without which nobody who has the database can try passwords.
// A password is then authenticated with the first before it is hashed; the stored hash names its pepper, and one of
// another pepper, or of none, is replaced at the next good sign-in (PW-11).
//
// A password is normalised to NFKC once, by the same function when it is set and when it is verified; it is never
// trimmed, cut or changed in case. What it replaced is kept for as long as the realm forbids to use it again, and a
// person can be made to change it.
//
// The package does not decide which passwords are good enough (package policy), who may try how often (package attempt)
// nor whether a person may sign in (the sign-in step). Nothing in it logs, and no error contains a password or a hash.
package password
