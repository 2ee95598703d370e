package password

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/password/format"
	"github.com/gatehouse-id/gatehouse/internal/password/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Candidate is the person a canonical identifier names, with the hash that a password is compared with.
type Candidate struct {
	ID      uuid.UUID
	Subject string
	Active  bool
	// Counter is what attempts at it are counted under.
	Counter string
	// Hash is "" when the person has no password, or one that has expired.
	Hash string
	// MustChange is why the person must choose another password, "" for no reason.
	MustChange Reason
	// ChangedAt is when the password was set; zero without one.
	ChangedAt time.Time
}

// Reason is why a person must choose another password at the next sign-in.
type Reason string

// The reasons.
const (
	ByAdmin   Reason = "admin"     // an administrator, or the person's own "this was not me"
	Temporary Reason = "temporary" // the password was chosen by an administrator, for once
	Breached  Reason = "breach"    // it is known from a breach
	ByPolicy  Reason = "policy"    // the realm asks for more than when it was chosen
)

// Find returns the candidate of a canonical identifier; realm.ErrUnknown when nobody has it. A one-time password that
// expired before now is like none.
func Find(ctx context.Context, r postgres.Reader, canonical string, now time.Time) (Candidate, error) {
	row, err := db.New().Candidate(ctx, r, canonical)
	if err != nil {
		return Candidate{}, fmt.Errorf("find who signs in: %w", err)
	}
	if row.ID == uuid.Nil {
		return Candidate{}, fmt.Errorf("user: %w", realm.ErrUnknown)
	}
	c := Candidate{
		ID: row.ID, Subject: row.Subject, Active: row.Status == "active", Counter: user.Counter(row.ID, row.Forgiven),
		Hash: row.Hash, MustChange: Reason(row.MustChange),
	}
	if row.ChangedAt != nil {
		c.ChangedAt = *row.ChangedAt
	}
	if row.ExpiresAt != nil && !now.Before(*row.ExpiresAt) {
		c.Hash = ""
	}
	return c, nil
}

// Set stores a hash as the person's password. What it replaces is kept for as long as the realm forbids to choose it
// again; a demand to change is met.
func Set(ctx context.Context, tx realm.Tx, user uuid.UUID, hash string, now time.Time) error {
	return set(ctx, tx, db.SetPasswordParams{UserID: user, Hash: hash, Now: now})
}

// SetTemporary stores the hash of a password that somebody else chose for the person: it works until it expires, and
// has to be changed at the first sign-in.
func SetTemporary(ctx context.Context, tx realm.Tx, user uuid.UUID, hash string, expires, now time.Time) error {
	err := set(ctx, tx, db.SetPasswordParams{UserID: user, Hash: hash, Now: now, MustChange: string(Temporary), ExpiresAt: &expires})
	if err != nil {
		return err
	}
	return event.Record(ctx, tx, ChangeDemanded{Subject: event.Subject{User: user}, Reason: string(Temporary)}, now)
}

func set(ctx context.Context, tx realm.Tx, p db.SetPasswordParams) error {
	q := db.New()
	old, err := q.Lock(ctx, tx, p.UserID)
	if err != nil && !postgres.NoRows(err) {
		return fmt.Errorf("lock a password: %w", err)
	}
	// The current password is one of those that the realm counts.
	keep := max(tx.In().Settings.Password.History-1, 0)
	if err == nil && keep > 0 {
		if err := q.Remember(ctx, tx, db.RememberParams{UserID: p.UserID, Hash: old, Now: p.Now}); err != nil {
			return fmt.Errorf("keep a replaced password: %w", err)
		}
	}
	if err := q.Forget(ctx, tx, db.ForgetParams{UserID: p.UserID, Keep: int64(keep)}); err != nil {
		return fmt.Errorf("forget replaced passwords: %w", err)
	}
	if err := q.SetPassword(ctx, tx, p); err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	return event.Record(ctx, tx, Changed{Subject: event.Subject{User: p.UserID}}, p.Now)
}

// MustChange makes the person choose another password at the next sign-in. It changes nothing where the same was
// demanded before, or there is no password.
func MustChange(ctx context.Context, tx realm.Tx, user uuid.UUID, why Reason, now time.Time) (changed bool, err error) {
	n, err := db.New().DemandChange(ctx, tx, db.DemandChangeParams{UserID: user, Reason: string(why)})
	if err != nil {
		return false, fmt.Errorf("demand another password: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, event.Record(ctx, tx, ChangeDemanded{Subject: event.Subject{User: user}, Reason: string(why)}, now)
}

// Used returns the hashes of the person's latest passwords for [Hasher.Reused]: the current one first, and as many of
// the replaced ones as the realm forbids to choose again.
func Used(ctx context.Context, r realm.Realm, user uuid.UUID) ([]string, error) {
	current, err := Stored(ctx, r, user)
	if err != nil || current == "" {
		return nil, err
	}
	most := int32(max(r.Settings.Password.History-1, 0)) //nolint:gosec // G115: at most 24
	replaced, err := db.New().Replaced(ctx, r, db.ReplacedParams{UserID: user, Most: most})
	if err != nil {
		return nil, fmt.Errorf("read replaced passwords: %w", err)
	}
	return append([]string{current}, replaced...), nil
}

// Upgrade replaces a hash that was just proved by a stronger one of the same password, unless it changed
// meanwhile.
func Upgrade(ctx context.Context, tx realm.Tx, user uuid.UUID, seen, hash string, now time.Time) error {
	n, err := db.New().Upgrade(ctx, tx, db.UpgradeParams{UserID: user, Seen: seen, Hash: hash})
	if err != nil {
		return fmt.Errorf("upgrade a password hash: %w", err)
	}
	if n == 0 {
		return nil
	}
	return event.Record(ctx, tx, Upgraded{Subject: event.Subject{User: user}}, now)
}

// Stored returns the person's hash, "" when there is none.
func Stored(ctx context.Context, r postgres.Reader, user uuid.UUID) (string, error) {
	hash, err := db.New().Hash(ctx, r, user)
	if postgres.NoRows(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read a password hash: %w", err)
	}
	return hash, nil
}

// Kept is what an administrator may know of a password.
type Kept struct {
	ChangedAt time.Time
	// Format is what the format of the hash is called, Pepper the name of its pepper, "" without one, and Outdated
	// whether the next good sign-in replaces the hash.
	Format, Pepper string
	Outdated       bool
	// MustChange is why the person must choose another one, "" for no reason.
	MustChange Reason
	// Until is when a one-time password stops to work; nil for one that stays.
	Until *time.Time
}

// Kept returns what is kept of the person's password but the hash; nil when there is none.
func (h *Hasher) Kept(ctx context.Context, r postgres.Reader, user uuid.UUID) (*Kept, error) {
	row, err := db.New().Kept(ctx, r, user)
	if postgres.NoRows(err) {
		return nil, nil //nolint:nilnil // no password is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read what is kept of a password: %w", err)
	}
	pepper, hash := unpepper(row.Hash)
	k := &Kept{
		ChangedAt: row.ChangedAt, Format: format.Name(hash), Pepper: pepper, Outdated: true, MustChange: Reason(row.MustChange), Until: row.ExpiresAt,
	}
	if stored, err := format.Parse(hash); err == nil {
		k.Outdated = !h.current(pepper, stored)
	}
	return k, nil
}

// PepperUse is how many passwords of a realm have hashes of a pepper.
type PepperUse struct {
	// Pepper is its name, "" for none, Configured whether the process has it.
	Pepper     string
	Configured bool
	Passwords  int64
}

// Peppers counts a realm's passwords by pepper. It reads all of them.
func (h *Hasher) Peppers(ctx context.Context, r postgres.Reader) ([]PepperUse, error) {
	rows, err := db.New().Peppers(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("count passwords by pepper: %w", err)
	}
	uses := make([]PepperUse, 0, len(rows))
	for _, row := range rows {
		_, unknown := h.pepper(row.Pepper, "")
		uses = append(uses, PepperUse{row.Pepper, unknown == nil, row.Passwords})
	}
	return uses, nil
}
