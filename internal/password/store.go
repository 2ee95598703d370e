package password

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/password/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Candidate is the person a canonical identifier names, with the hash that a password is compared with.
type Candidate struct {
	ID      uuid.UUID
	Subject string
	Active  bool
	// Hash is "" when the person has no password.
	Hash string
}

// Find returns the candidate of a canonical identifier; realm.ErrUnknown when nobody has it.
func Find(ctx context.Context, r postgres.Reader, canonical string) (Candidate, error) {
	row, err := db.New().Candidate(ctx, r, canonical)
	if postgres.NoRows(err) {
		return Candidate{}, fmt.Errorf("user: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Candidate{}, fmt.Errorf("find who signs in: %w", err)
	}
	return Candidate{ID: row.ID, Subject: row.Subject, Active: row.Status == "active", Hash: row.Hash}, nil
}

// Set stores a hash as the person's password.
func Set(ctx context.Context, tx realm.Tx, user uuid.UUID, hash string, now time.Time) error {
	if err := db.New().SetPassword(ctx, tx, db.SetPasswordParams{UserID: user, Hash: hash, Now: now}); err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	return event.Record(ctx, tx, Changed{Subject: event.Subject{User: user}}, now)
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

// ChangedAt returns when the person's password was set, nil when there is none.
func ChangedAt(ctx context.Context, r postgres.Reader, user uuid.UUID) (*time.Time, error) {
	at, err := db.New().ChangedAt(ctx, r, user)
	if postgres.NoRows(err) {
		return nil, nil //nolint:nilnil // no password is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read when a password was set: %w", err)
	}
	return &at, nil
}

// Changed says that a password was set.
type Changed struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Changed) Type() string { return "password.changed" }

// Upgraded says that a password was hashed anew with stronger parameters.
type Upgraded struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Upgraded) Type() string { return "password.upgraded" }

// Refused says that a sign-in failed.
type Refused struct {
	event.Subject `json:"-"`
	// Reason is unknown, wrong, inactive or throttled; it is never shown to the person.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Refused) Type() string { return "login.refused" }
