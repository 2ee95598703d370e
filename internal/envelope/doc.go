// Package envelope seals secret columns and derives keys for message
// authentication.
//
// It owns two kinds of key. The process's [Keyring] comes from
// GATEHOUSE_SECRET_KEY and seals very little: each realm's [DataKey]. The data
// key seals the realm's columns and derives its MAC keys, so that rotating the
// key ring touches one row for each realm. Both seal with AES-256-GCM under a
// random nonce and bind the ciphertext to its place by additional data (see
// [AAD]): a sealed value copied to another realm, table, column or row does not
// open.
//
// A sealed value is
//
//	version (1 byte) ‖ key id length (1 byte) ‖ key id ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//
// and everything before the nonce is authenticated with the additional data.
// AES keys are never used directly: each is derived by HKDF-SHA-256 under a
// label of its own, so sealing and MACs cannot interact.
//
// Where sealed values are stored, and when rows are sealed anew, is decided by
// the packages that own the rows; [Keyring.NeedsReseal] tells them which.
package envelope
