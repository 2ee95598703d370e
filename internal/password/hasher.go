package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/password/format"
)

// ErrBusy says that no share of the memory budget came free in time. The caller
// answers "unavailable" and names a time to try again.
var ErrBusy = errors.New("password: too many hashes at once")

// What package format says about a stored hash.
var (
	ErrUnknownFormat = format.ErrUnknown
	ErrMalformed     = format.ErrMalformed
	ErrTooCostly     = format.ErrTooCostly
	ErrWeak          = format.ErrWeak
)

// Argon2id are the parameters of new hashes.
type Argon2id = format.Argon2id

// DefaultParams returns the parameters that are recommended.
func DefaultParams() Argon2id { return format.DefaultParams() }

const (
	defaultBudget = 256 << 20
	longestWait   = 2 * time.Second
)

// Options configure a [Hasher]. The zero value is the default.
type Options struct {
	// MemoryBudget bounds, in bytes, the memory of all hashes computed at once.
	// Default 256 MiB. The garbage of finished hashes comes on top of it until it
	// is collected, so the process needs about twice as much.
	MemoryBudget int64
	// Params are those of new hashes. Default [DefaultParams].
	Params Argon2id
	// QueueWait is how long a hash may wait for memory: at most, and by default,
	// two seconds.
	QueueWait time.Duration
	// Peppers are the keys that passwords are authenticated with before they are hashed (ParsePeppers); nil for none.
	Peppers *envelope.MACRing
	// Rand is the source of salts: crypto/rand by default and outside tests.
	Rand io.Reader
}

// Hasher computes password hashes under one memory budget; a process has one. It
// is safe for concurrent use.
type Hasher struct {
	params  Argon2id
	peppers *envelope.MACRing
	gate    *gate
	rand    io.Reader
}

// New returns a hasher, or an error when the options contradict each other or
// are below what is considered safe.
func New(o Options) (*Hasher, error) {
	if o.MemoryBudget == 0 {
		o.MemoryBudget = defaultBudget
	}
	if o.Params == (Argon2id{}) {
		o.Params = DefaultParams()
	}
	if o.QueueWait == 0 {
		o.QueueWait = longestWait
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if err := o.Params.Check(); err != nil {
		return nil, fmt.Errorf("argon2id parameters: %w", err)
	}
	if o.Params.Bytes() > o.MemoryBudget {
		return nil, errors.New("the memory budget is smaller than one hash needs")
	}
	if o.QueueWait < 0 || o.QueueWait > longestWait {
		return nil, fmt.Errorf("a hash waits between 0 and %s", longestWait)
	}
	return &Hasher{
		params:  o.Params,
		peppers: o.Peppers,
		gate:    newGate(o.MemoryBudget, o.Params.Bytes(), o.QueueWait),
		rand:    o.Rand,
	}, nil
}

// Stats describe a hasher for metrics: hashes being computed, and how many had
// to wait for memory or were refused because none came free in time.
type Stats struct{ InFlight, Waited, Rejected int64 }

// Stats reads the counters.
func (h *Hasher) Stats() Stats {
	return Stats{h.gate.inFlight.Load(), h.gate.waited.Load(), h.gate.rejected.Load()}
}

// Result is the outcome of a verification. A wrong password is not an error.
type Result struct {
	OK bool
	// NeedsRehash asks the caller, when OK, to store a new hash of the password
	// in the transaction of the sign-in.
	NeedsRehash bool
}

// Hash returns the argon2id hash of the password in PHC form, behind the name of
// the pepper where there is one. Whether the password is good enough is for
// package policy to say.
func (h *Hasher) Hash(ctx context.Context, plain string) (string, error) {
	normal, err := Normalize(plain)
	if err != nil {
		return "", err
	}
	if normal == "" {
		return "", ErrEmpty
	}
	salt := make([]byte, format.SaltSize)
	if _, err = io.ReadFull(h.rand, salt); err != nil {
		return "", fmt.Errorf("draw salt: %w", err)
	}
	leave, err := h.gate.enter(ctx, h.params.Bytes())
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	defer leave()
	pepper := h.peppers.Current()
	if pepper == "" {
		return h.params.Encode(salt, normal), nil
	}
	peppered, err := h.pepper(pepper, normal)
	if err != nil {
		return "", fmt.Errorf("pepper a password: %w", err)
	}
	return pepperPrefix + pepper + h.params.Encode(salt, peppered), nil
}

// Verify compares the password with a stored hash of any known format. Errors
// are [ErrTooLong], [ErrNotText], [ErrBusy], the context's, and, for a hash that
// cannot be used, [ErrUnknownFormat], [ErrMalformed], [ErrTooCostly] or
// [ErrNoPepper].
func (h *Hasher) Verify(ctx context.Context, encoded, plain string) (Result, error) {
	normal, err := Normalize(plain)
	if err != nil {
		return Result{}, err
	}
	pepper, hash := unpepper(encoded)
	stored, err := format.Parse(hash)
	if err != nil {
		return Result{}, fmt.Errorf("verify password: %w", err)
	}
	peppered, err := h.pepper(pepper, normal)
	if err != nil {
		return Result{}, fmt.Errorf("verify password: %w", err)
	}
	leave, err := h.gate.enter(ctx, stored.Memory())
	if err != nil {
		return Result{}, fmt.Errorf("verify password: %w", err)
	}
	defer leave()
	// Other systems hashed what was typed, byte for byte, so a foreign hash sees
	// that first. One with our parameters may be either, a peppered one is ours.
	raw, ours := plain != normal && pepper == "", h.params.Describe(stored)
	if raw && !ours && stored.Matches(plain) {
		return Result{OK: true, NeedsRehash: true}, nil
	}
	if stored.Matches(peppered) {
		return Result{OK: true, NeedsRehash: !h.current(pepper, stored)}, nil
	}
	if raw && ours && stored.Matches(plain) {
		return Result{OK: true, NeedsRehash: true}, nil
	}
	return Result{}, nil
}

// Reused tells whether the password is one of those in used, which [Used] returns. It always compares with count
// hashes, dummies standing in for missing ones, and with all of them whatever is found: what it costs tells nothing
// about how many there are nor which one it was. A hash that cannot be used counts as another password. Its errors are
// those of Verify that do not concern a stored hash.
func (h *Hasher) Reused(ctx context.Context, plain string, used []string, count int) (bool, error) {
	reused := false
	for i := range max(count, len(used)) {
		encoded := h.params.Dummy()
		if i < len(used) {
			pepper, hash := unpepper(used[i])
			_, unknown := h.pepper(pepper, "")
			if _, err := format.Parse(hash); err == nil && unknown == nil {
				encoded = used[i]
			}
		}
		result, err := h.Verify(ctx, encoded, plain)
		if err != nil && !errors.Is(err, ErrTooCostly) {
			return false, err
		}
		reused = reused || result.OK
	}
	return reused, nil
}

// VerifyDummy spends what [Hasher.Verify] spends on a wrong password and a hash
// of the current parameters, and never succeeds. It is for identifiers that
// nobody has, so that they take as long as others. Its errors are those of
// Verify that do not concern the stored hash.
//
// An imported hash costs what its own parameters say until its first good
// sign-in, so an attacker who times answers can tell such an account from none.
func (h *Hasher) VerifyDummy(ctx context.Context, plain string) error {
	_, err := h.Verify(ctx, h.params.Dummy(), plain)
	return err
}

// ValidateEncoded says whether a hash may be imported: of a known format, well formed and affordable ([ErrTooCostly]).
// [ErrWeak] says that it is all this, but below the floor of the OWASP Password Storage Cheat Sheet: whoever imports
// decides. Verification has no floor, and replaces such a hash at the next good sign-in.
func ValidateEncoded(encoded string) error {
	stored, err := format.Parse(encoded)
	if err != nil {
		return err
	}
	if stored.Weak() {
		return ErrWeak
	}
	return nil
}

// ValidateEncoded is [ValidateEncoded] and refuses, in addition, a hash that
// needs more than this hasher's memory budget.
func (h *Hasher) ValidateEncoded(encoded string) error {
	stored, err := format.Parse(encoded)
	if err != nil {
		return err
	}
	if stored.Memory() > h.gate.budget {
		return ErrTooCostly
	}
	return ValidateEncoded(encoded)
}
