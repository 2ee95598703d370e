package grant

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Token is an access token to be revoked by itself.
type Token struct {
	JTI     string
	Grant   uuid.UUID
	Client  string
	Expires time.Time
}

// RevokeToken revokes a single access token. It is idempotent.
func RevokeToken(ctx context.Context, r realm.Realm, t Token, now time.Time) error {
	about := event.Subject{Client: t.Client, Object: t.JTI}
	e, err := event.Prepare(ctx, r, TokenRevoked{Subject: about, Grant: t.Grant.String()}, now)
	if err != nil {
		return err
	}
	_, err = db.New().RevokeToken(ctx, r.Write(), db.RevokeTokenParams{Jti: t.JTI, ExpiresAt: t.Expires, Event: e})
	if err = lost(err, "revoke an access token"); errors.Is(err, ErrLost) {
		return nil
	}
	return err
}

// TokenRevoked says that a single access token was revoked.
type TokenRevoked struct {
	event.Subject `json:"-"`
	// Grant is the authorization it came of, or zeros when it came of none.
	Grant string `json:"grant"`
}

// Type implements event.Event.
func (TokenRevoked) Type() string { return "token.revoked" }
