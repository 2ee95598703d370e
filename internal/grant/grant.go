// Package grant owns authorizations. One row is one issued code and all that comes of it: there is no table of
// codes and none of tokens. An operation reads its row once, lets the protocol decide and sign without holding a
// connection, and commits by one conditional statement that changes the row and records the event where the code
// is still unused. No row touched means that somebody else was faster (ErrLost).
//
// Nothing in here knows OAuth parameters or fosite; package oidc and its store do.
package grant

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// ErrLost says that a conditional statement touched no row: the code was used, burnt, revoked or expired since it
// was read.
var ErrLost = errors.New("somebody else was faster")

// Code is an authorization code: grant id and a 256-bit secret. It is found by the id and proved by the hash of
// the whole, so it needs no index of its own.
type Code struct {
	Grant uuid.UUID
	text  string
}

const codeSize = 16 + 32

// NewCode makes a code for a new grant.
func NewCode(random io.Reader) (Code, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Code{}, fmt.Errorf("make a grant id: %w", err)
	}
	raw := make([]byte, codeSize)
	copy(raw, id[:])
	if _, err := io.ReadFull(random, raw[16:]); err != nil {
		return Code{}, fmt.Errorf("make an authorization code: %w", err)
	}
	return Code{id, base64.RawURLEncoding.EncodeToString(raw)}, nil
}

// ParseCode reads a code that a client presents; false when it cannot be one of ours.
func ParseCode(text string) (Code, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != codeSize {
		return Code{}, false
	}
	return Code{uuid.UUID(raw[:16]), text}, true
}

// Text is the code as the client gets it.
func (c Code) Text() string { return c.text }

func (c Code) hash() []byte {
	h := sha256.Sum256([]byte(c.text))
	return h[:]
}

// Format keeps codes out of logs.
func (c Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Grant is an authorization.
type Grant struct {
	ID        uuid.UUID
	ClientID  string
	UserID    uuid.UUID
	Subject   string // the person's sub claim
	SessionID uuid.UUID
	Scopes    []string
	Audience  []string
	// Request holds the parameters of the authorization request that the token endpoint needs again.
	Request   map[string]string
	AuthTime  time.Time
	AMR       []string
	ACR       string
	CreatedAt time.Time
	// EndsAt is when everything that came of the code has ended.
	EndsAt        time.Time
	CodeExpiresAt time.Time
	CodeUsed      bool
	Revoked       bool
	// UserActive and SessionLive say whether the person may still use it.
	UserActive  bool
	SessionLive bool
}

// Issue stores g and the code that was made for it.
func Issue(ctx context.Context, w realm.Writer, g Grant, c Code) error {
	request, err := json.Marshal(g.Request)
	if err != nil {
		return fmt.Errorf("encode the authorization request: %w", err)
	}
	err = db.New().Issue(ctx, w, db.IssueParams{
		ID: c.Grant, ClientID: g.ClientID, UserID: g.UserID, SessionID: g.SessionID, Scopes: notNil(g.Scopes), Audience: notNil(g.Audience),
		Request: request, AuthTime: g.AuthTime, Amr: notNil(g.AMR), Acr: g.ACR, Now: g.CreatedAt, CodeHash: c.hash(),
		CodeExpiresAt: g.CodeExpiresAt, EndsAt: g.EndsAt,
	})
	if err != nil {
		return fmt.Errorf("store an authorization: %w", err)
	}
	return nil
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// ByCode returns the authorization of a code, whatever became of it; realm.ErrUnknown when there is none.
func ByCode(ctx context.Context, r postgres.Reader, c Code) (Grant, error) {
	row, err := db.New().ByCode(ctx, r, db.ByCodeParams{ID: c.Grant, CodeHash: c.hash()})
	if postgres.NoRows(err) {
		return Grant{}, fmt.Errorf("authorization: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("read an authorization: %w", err)
	}
	g := Grant{
		ID: row.ID, ClientID: row.ClientID, UserID: row.UserID, Subject: row.Subject, SessionID: row.SessionID, Scopes: row.Scopes,
		Audience: row.Audience, AuthTime: row.AuthTime, AMR: row.Amr, ACR: row.Acr, CreatedAt: row.CreatedAt, EndsAt: row.EndsAt,
		CodeExpiresAt: row.CodeExpiresAt, CodeUsed: row.CodeUsedAt != nil, Revoked: row.RevokedAt != nil,
		UserActive: row.UserActive, SessionLive: row.SessionLive,
	}
	if err := json.Unmarshal(row.Request, &g.Request); err != nil {
		return Grant{}, fmt.Errorf("read an authorization request: %w", err)
	}
	return g, nil
}

// Exchange spends the code of g, if it is still unused: ErrLost when it is not.
func Exchange(ctx context.Context, r realm.Realm, g Grant, now time.Time) error {
	e, err := event.Prepare(ctx, r, Exchanged{Subject: subject(g), Scopes: g.Scopes}, now)
	if err != nil {
		return err
	}
	_, err = db.New().Exchange(ctx, r.Write(), db.ExchangeParams{ID: g.ID, Now: &now, Event: e})
	return lost(err, "spend a code")
}

// Burn spends the code of g because its proof failed, and with it the authorization. A code that was used before
// stays as it is.
func Burn(ctx context.Context, r realm.Realm, g Grant, reason string, now time.Time) error {
	e, err := event.Prepare(ctx, r, CodeRefused{Subject: subject(g), Reason: reason}, now)
	if err != nil {
		return err
	}
	_, err = db.New().Burn(ctx, r.Write(), db.BurnParams{ID: g.ID, Now: &now, Event: e})
	if err = lost(err, "burn a code"); errors.Is(err, ErrLost) {
		return nil
	}
	return err
}

// Revoke ends an authorization and every token that came of it. It is idempotent.
func Revoke(ctx context.Context, r realm.Realm, g Grant, reason string, now time.Time) error {
	e, err := event.Prepare(ctx, r, Revoked{Subject: subject(g), Reason: reason}, now)
	if err != nil {
		return err
	}
	_, err = db.New().Revoke(ctx, r.Write(), db.RevokeParams{ID: g.ID, Now: &now, Event: e})
	if err = lost(err, "revoke an authorization"); errors.Is(err, ErrLost) {
		return nil
	}
	return err
}

// RevokeBySession ends what was authorized in a session and is not meant to outlive it. The caller's transaction
// records why the session ended.
func RevokeBySession(ctx context.Context, tx realm.Tx, session uuid.UUID, now time.Time) error {
	if _, err := db.New().RevokeBySession(ctx, tx, db.RevokeBySessionParams{SessionID: session, Now: &now}); err != nil {
		return fmt.Errorf("revoke the authorizations of a session: %w", err)
	}
	return nil
}

func lost(err error, what string) error {
	if postgres.NoRows(err) {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func subject(g Grant) event.Subject {
	return event.Subject{User: g.UserID, Client: g.ClientID, Session: g.SessionID, Object: g.ID.String()}
}
