package user

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/user/internal/db"
)

// Contact is whom a name means and where mail reaches them.
type Contact struct {
	// ID is uuid.Nil when nobody has the name.
	ID     uuid.UUID
	Active bool
	// Email is their address as they wrote it, "" when they have none.
	Email string
	// Counter is what their attempts and mails are counted under; "" when nobody has the name.
	Counter string
}

// Counter names what a person's attempts and mails are counted under, whatever name of theirs is typed (LG-03). It is
// another one each time that they were forgotten (Forgive).
func Counter(id uuid.UUID, forgiven int32) string {
	if forgiven == 0 {
		return id.String()
	}
	return fmt.Sprintf("%s#%d", id, forgiven)
}

// Reachable tells whether there is somebody who may get mail that lets them in.
func (c Contact) Reachable() bool { return c.Active && c.Email != "" }

// FindContact returns the contact of a canonical name; the zero Contact when nobody has it.
func FindContact(ctx context.Context, r postgres.Reader, canonical string) (Contact, error) {
	row, err := db.New().Contact(ctx, r, canonical)
	if err != nil {
		return Contact{}, fmt.Errorf("find whom a name means: %w", err)
	}
	if row.ID == uuid.Nil {
		return Contact{}, nil
	}
	return Contact{ID: row.ID, Active: row.Status == Active, Email: row.Email, Counter: Counter(row.ID, row.Forgiven)}, nil
}

// ContactOf returns the contact of a person; the zero Contact when there is none.
func ContactOf(ctx context.Context, r postgres.Reader, id uuid.UUID) (Contact, error) {
	row, err := db.New().ContactOf(ctx, r, id)
	if postgres.NoRows(err) {
		return Contact{}, nil
	}
	if err != nil {
		return Contact{}, fmt.Errorf("find where mail reaches somebody: %w", err)
	}
	return Contact{ID: row.ID, Active: row.Status == Active, Email: row.Email, Counter: Counter(row.ID, row.Forgiven)}, nil
}

// EmailOf is a person's e-mail address as they wrote it, "" when they have none.
func EmailOf(ctx context.Context, r postgres.Reader, id uuid.UUID) (string, error) {
	address, err := db.New().EmailOf(ctx, r, id)
	if postgres.NoRows(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read a person's address: %w", err)
	}
	return address, nil
}
