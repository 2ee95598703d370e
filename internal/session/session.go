// Package session owns browser sessions: an opaque cookie, of which only the hash is stored, a new one at every
// login, and two ends that the server enforces.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session/internal/db"
)

// Token is the value of a realm's cookie: 256 random bits that mean nothing but to the rows that hold its hash.
// Before a login it binds flows to the browser, afterwards it is the session.
type Token string

// NewToken makes a token.
func NewToken(random io.Reader) (Token, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a session token: %w", err)
	}
	return Token(base64.RawURLEncoding.EncodeToString(b[:])), nil
}

// Hash is what is stored of a token.
func (t Token) Hash() []byte {
	h := sha256.Sum256([]byte(t))
	return h[:]
}

// Format keeps tokens out of logs.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Session is a live session.
type Session struct {
	ID       uuid.UUID
	UserID   uuid.UUID
	AuthTime time.Time
}

// New is a proof of identity that becomes a session.
type New struct {
	Token      Token
	UserID     uuid.UUID
	AuthTime   time.Time
	AMR        []string
	ACR        string
	Persistent bool
	// Previous is the session that the browser had, uuid.Nil when it had none; PreviousUser whose it was.
	Previous     uuid.UUID
	PreviousUser uuid.UUID
}

// Start makes a session of a proof. The same person proving it again keeps the session and gets a new cookie;
// somebody else's session in that browser ends. It returns the session's id.
func Start(ctx context.Context, tx realm.Tx, n New, now time.Time) (uuid.UUID, error) {
	idle, ends := ends(tx.In().Settings.Lifetimes, n.Persistent, now)
	if n.Previous != uuid.Nil && n.PreviousUser == n.UserID {
		changed, err := db.New().Reauthenticate(ctx, tx, db.ReauthenticateParams{
			ID: n.Previous, UserID: n.UserID, TokenHash: n.Token.Hash(), AuthTime: n.AuthTime, Amr: n.AMR, Acr: n.ACR,
			Persistent: n.Persistent, Now: now, IdleSeconds: idle, EndsAt: ends,
		})
		if err != nil {
			return uuid.Nil, fmt.Errorf("renew a session: %w", err)
		}
		if changed == 1 {
			return n.Previous, event.Record(ctx, tx, Renewed{Subject: event.Subject{User: n.UserID, Session: n.Previous}, AMR: n.AMR}, now)
		}
	}
	if n.Previous != uuid.Nil {
		if _, err := End(ctx, tx, n.Previous, n.PreviousUser, "replaced", now); err != nil {
			return uuid.Nil, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a session id: %w", err)
	}
	err = db.New().InsertSession(ctx, tx, db.InsertSessionParams{
		ID: id, TokenHash: n.Token.Hash(), UserID: n.UserID, AuthTime: n.AuthTime, Amr: n.AMR, Acr: n.ACR,
		Persistent: n.Persistent, Now: now, IdleSeconds: idle, EndsAt: ends,
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("insert a session: %w", err)
	}
	return id, event.Record(ctx, tx, Started{Subject: event.Subject{User: n.UserID, Session: id}, AMR: n.AMR, Persistent: n.Persistent}, now)
}

// Rotate gives a live session a new cookie, as every proof of an identity does to its browser. A session that has
// ended meanwhile stays ended.
func Rotate(ctx context.Context, tx realm.Tx, id, user uuid.UUID, t Token, now time.Time) error {
	n, err := db.New().Rotate(ctx, tx, db.RotateParams{ID: id, TokenHash: t.Hash()})
	if err != nil {
		return fmt.Errorf("rotate a session's cookie: %w", err)
	}
	if n == 0 {
		return nil
	}
	return event.Record(ctx, tx, Rotated{Subject: event.Subject{User: user, Session: id}}, now)
}

// ends returns the idle time in seconds and the absolute end.
func ends(l realm.Lifetimes, persistent bool, now time.Time) (int32, time.Time) {
	idle, absolute := l.SessionIdle, l.SessionAbsolute
	if persistent {
		idle, absolute = l.PersistentIdle, l.PersistentAbsolute
	}
	return int32(time.Duration(idle) / time.Second), now.Add(time.Duration(absolute)) //nolint:gosec // at most a year
}

// CookieLife is how long the browser keeps the cookie: 0 means until it is closed.
func CookieLife(r realm.Realm, persistent bool) time.Duration {
	if !persistent {
		return 0
	}
	return time.Duration(r.Settings.Lifetimes.PersistentAbsolute)
}

// End ends a session and says whether it was live. reason is logout, replaced or revoked.
func End(ctx context.Context, tx realm.Tx, id, user uuid.UUID, reason string, now time.Time) (bool, error) {
	n, err := db.New().EndSession(ctx, tx, db.EndSessionParams{ID: id, Now: &now})
	if err != nil {
		return false, fmt.Errorf("end a session: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, event.Record(ctx, tx, Ended{Subject: event.Subject{User: user, Session: id}, Reason: reason}, now)
}

// EndAll ends all live sessions of a person but that one (uuid.Nil: none stays), each with its own session.ended, and
// says how many. What was authorized in them and is not meant to outlive them is dead with them; grant.RevokeByUser
// ends the rest. Callers hold the person's row (user.Store locks it), so that no session begins meanwhile unseen.
func EndAll(ctx context.Context, tx realm.Tx, user, except uuid.UUID, reason string, now time.Time) (int64, error) {
	ended, err := db.New().EndSessions(ctx, tx, db.EndSessionsParams{UserID: user, Spared: except, Now: &now})
	if err != nil {
		return 0, fmt.Errorf("end the sessions of a person: %w", err)
	}
	for _, id := range ended {
		if err := event.Record(ctx, tx, Ended{Subject: event.Subject{User: user, Session: id}, Reason: reason}, now); err != nil {
			return 0, err
		}
	}
	return int64(len(ended)), nil
}

// ByToken returns the live session of a cookie; realm.ErrUnknown when there is none.
func ByToken(ctx context.Context, r postgres.Reader, t Token, now time.Time) (Session, error) {
	row, err := db.New().SessionByToken(ctx, r, db.SessionByTokenParams{TokenHash: t.Hash(), Now: now})
	if postgres.NoRows(err) {
		return Session{}, fmt.Errorf("session: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Session{}, fmt.Errorf("read a session: %w", err)
	}
	return Session{ID: row.ID, UserID: row.UserID, AuthTime: row.AuthTime}, nil
}
