package lifecycle

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/consent"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// RevokeConsent takes back what a person allowed a client: the application asks again the next time, and everything
// that was issued to it for them ends now. It says whether there was anything to take back.
func RevokeConsent(ctx context.Context, r realm.Realm, user uuid.UUID, clientID string, now time.Time) (changed bool, err error) {
	err = r.InTx(ctx, func(tx realm.Tx) error {
		scopes, err := consent.Forget(ctx, tx, user, clientID)
		if err != nil {
			return err
		}
		ended, err := grant.RevokeByClient(ctx, tx, user, clientID, now)
		if err != nil {
			return err
		}
		if changed = scopes != nil || ended > 0; !changed {
			return nil
		}
		if scopes == nil {
			scopes = []string{}
		}
		about := event.Subject{User: user, Client: clientID}
		return event.Record(ctx, tx, consent.Revoked{Subject: about, Scopes: scopes, Grants: ended}, now)
	})
	return changed, err
}
