// Package password hashes and verifies passwords, and says which are accepted.
//
// New hashes are argon2id in PHC form. Hashes that were brought along from
// elsewhere are verified as they are and replaced at the next good sign-in: each
// format is one small file and one line in formats. Hashing is the costliest
// thing an anonymous visitor can ask for, so every hash takes its share of a
// memory budget first and waits at most two seconds for it ([ErrBusy]).
//
// A password is normalised to NFKC once, by the same function when it is set and
// when it is verified; it is never trimmed, cut or changed in case.
//
// The package does not decide who may try how often (package limit) nor whether
// a person may sign in (the sign-in step). Nothing in it logs, and no error
// contains a password or a hash.
package password
