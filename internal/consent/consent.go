// Package consent owns what people allowed applications to have from now on: one row for a person and a client,
// with the scopes. What was allowed for one request alone is the flow's, and what was issued for it the grant's.
//
// Taking a consent back does not end what was issued before; package lifecycle does both.
package consent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/consent/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Grant remembers that the person allows the client these scopes, beside those allowed before.
func Grant(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string, scopes []string, now time.Time) error {
	before, err := lock(ctx, tx, user, clientID)
	if err != nil {
		return err
	}
	var added []string
	for _, scope := range scopes {
		if !slices.Contains(before, scope) && !slices.Contains(added, scope) {
			added = append(added, scope)
		}
	}
	if len(added) == 0 {
		return nil
	}
	if err := put(ctx, tx, user, clientID, slices.Concat(before, added), now); err != nil {
		return err
	}
	return event.Record(ctx, tx, Granted{Subject: event.Subject{User: user, Client: clientID}, Scopes: added}, now)
}

// Withdraw takes single scopes back. It touches nothing that was issued with them.
func Withdraw(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string, scopes []string, now time.Time) error {
	before, err := lock(ctx, tx, user, clientID)
	if err != nil {
		return err
	}
	var kept, gone []string
	for _, scope := range before {
		if slices.Contains(scopes, scope) {
			gone = append(gone, scope)
			continue
		}
		kept = append(kept, scope)
	}
	if len(gone) == 0 {
		return nil
	}
	if len(kept) == 0 {
		_, err = Forget(ctx, tx, user, clientID)
	} else {
		err = put(ctx, tx, user, clientID, kept, now)
	}
	if err != nil {
		return err
	}
	return event.Record(ctx, tx, Revoked{Subject: event.Subject{User: user, Client: clientID}, Scopes: gone}, now)
}

// Forget takes everything back and returns what it was, nil when there was nothing. The caller records Revoked.
func Forget(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string) ([]string, error) {
	scopes, err := db.New().DeleteConsent(ctx, tx, db.DeleteConsentParams{UserID: user, ClientID: clientID})
	if err != nil && !postgres.NoRows(err) {
		return nil, fmt.Errorf("delete a consent: %w", err)
	}
	return scopes, nil
}

func lock(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string) ([]string, error) {
	scopes, err := db.New().LockConsent(ctx, tx, db.LockConsentParams{UserID: user, ClientID: clientID})
	if err != nil && !postgres.NoRows(err) {
		return nil, fmt.Errorf("read a consent: %w", err)
	}
	return scopes, nil
}

func put(ctx context.Context, tx realm.Tx, user uuid.UUID, clientID string, scopes []string, now time.Time) error {
	err := db.New().PutConsent(ctx, tx, db.PutConsentParams{UserID: user, ClientID: clientID, Scopes: scopes, Now: now})
	if err != nil {
		return fmt.Errorf("store a consent: %w", err)
	}
	return nil
}
