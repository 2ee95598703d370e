package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Person is what a live authorization may learn of its person.
type Person struct {
	Scopes        []string
	Subject       string
	Claims        user.Claims
	Email         string
	EmailVerified bool
	Username      string
	UpdatedAt     time.Time
}

// PersonOf reads the person of a live authorization by one statement; realm.ErrUnknown when the authorization is
// revoked or over, the account is not active, or the access token jti was revoked by itself.
func PersonOf(ctx context.Context, r postgres.Reader, id uuid.UUID, jti string, now time.Time) (Person, error) {
	row, err := db.New().Person(ctx, r, db.PersonParams{ID: id, Jti: jti, Now: now})
	if postgres.NoRows(err) {
		return Person{}, fmt.Errorf("authorization: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Person{}, fmt.Errorf("read the person of an authorization: %w", err)
	}
	p := Person{
		Scopes: row.Scopes, Subject: row.Subject, Email: row.Email, EmailVerified: row.EmailVerified,
		Username: row.Username, UpdatedAt: row.UpdatedAt,
	}
	if err := json.Unmarshal(row.Claims, &p.Claims); err != nil {
		return Person{}, fmt.Errorf("read a person's claims: %w", err)
	}
	return p, nil
}
