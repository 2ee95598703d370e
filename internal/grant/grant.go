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
	raw, ok := decode(text, codeSize)
	if !ok {
		return Code{}, false
	}
	return Code{uuid.UUID(raw[:16]), text}, true
}

// decode reads base64url of exactly that many bytes in its one spelling. Go's decoder skips line breaks, so the length of
// the text counts too.
func decode(text string, size int) ([]byte, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return raw, err == nil && len(raw) == size
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
	// IdleAt is when the refresh token ends unless it is used before, EndsAt when everything that came of the code
	// has ended.
	IdleAt, EndsAt time.Time
	// Offline authorizations outlive the session they were given in (OpenID Connect Core §11).
	Offline       bool
	CodeExpiresAt time.Time
	CodeUsed      bool
	Revoked       bool
	// Generation of the live refresh token, since RotatedAt; 0 when there is none.
	Generation int32
	RotatedAt  time.Time
	usedFrom   []byte
	// UserActive and SessionLive say whether the person may still use it.
	UserActive  bool
	SessionLive bool
}

// Issue stores g and the code that was made for it. It is ErrLost when the session has ended meanwhile. Who ends
// everything of the person at the same time is waited for, and then the code is not Redeemable.
func Issue(ctx context.Context, w realm.Writer, g Grant, c Code) error {
	request, err := json.Marshal(g.Request)
	if err != nil {
		return fmt.Errorf("encode the authorization request: %w", err)
	}
	n, err := db.New().Issue(ctx, w, db.IssueParams{
		ID: c.Grant, ClientID: g.ClientID, UserID: g.UserID, SessionID: g.SessionID, Scopes: notNil(g.Scopes), Audience: notNil(g.Audience),
		Request: request, AuthTime: g.AuthTime, Amr: notNil(g.AMR), Acr: g.ACR, Now: g.CreatedAt, CodeHash: c.hash(),
		CodeExpiresAt: g.CodeExpiresAt, IdleAt: g.CodeExpiresAt, EndsAt: g.EndsAt, Offline: g.Offline,
	})
	if err != nil {
		return fmt.Errorf("store an authorization: %w", err)
	}
	if n == 0 {
		return ErrLost
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
func ByCode(ctx context.Context, r postgres.Reader, c Code, now time.Time) (Grant, error) {
	row, err := db.New().ByCode(ctx, r, db.ByCodeParams{ID: c.Grant, CodeHash: c.hash(), Now: now})
	return found(db.ByIDRow(row), err)
}

// ByID returns the authorization of that id, as ByCode does.
func ByID(ctx context.Context, r postgres.Reader, id uuid.UUID, now time.Time) (Grant, error) {
	return found(db.New().ByID(ctx, r, db.ByIDParams{ID: id, Now: now}))
}

func found(row db.ByIDRow, err error) (Grant, error) {
	if postgres.NoRows(err) {
		return Grant{}, fmt.Errorf("authorization: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("read an authorization: %w", err)
	}
	r := row.Grant
	g := Grant{
		ID: r.ID, ClientID: r.ClientID, UserID: r.UserID, Subject: row.Subject, SessionID: r.SessionID, Scopes: r.Scopes,
		Audience: r.Audience, AuthTime: r.AuthTime, AMR: r.Amr, ACR: r.Acr, CreatedAt: r.CreatedAt, IdleAt: r.IdleAt, EndsAt: r.EndsAt,
		Offline: r.Offline, CodeExpiresAt: r.CodeExpiresAt, CodeUsed: r.CodeUsedAt != nil, Revoked: r.RevokedAt != nil,
		Generation: r.Generation, usedFrom: r.UsedFrom, UserActive: row.UserActive, SessionLive: row.SessionLive,
	}
	if r.RotatedAt != nil {
		g.RotatedAt = *r.RotatedAt
	}
	if err := json.Unmarshal(r.Request, &g.Request); err != nil {
		return Grant{}, fmt.Errorf("read an authorization request: %w", err)
	}
	return g, nil
}

// Redeemable tells whether the code may be exchanged: once, before it expires, and only within the session that it was
// given in, offline access or not.
func (g Grant) Redeemable(now time.Time) bool {
	return !g.CodeUsed && !g.Revoked && g.UserActive && g.SessionLive && now.Before(g.CodeExpiresAt)
}

// Usable tells whether tokens may still come of the authorization: it and its person are active, and so is its
// session unless it was given for offline access.
func (g Grant) Usable(now time.Time) bool {
	return !g.Revoked && g.UserActive && (g.Offline || g.SessionLive) && now.Before(g.EndsAt)
}

// Exchange spends the code of g, if it is still unused: ErrLost when it is not. With an idle time
// above zero a refresh token of generation 1 comes of it, see RefreshToken.
func Exchange(ctx context.Context, r realm.Realm, g Grant, idle time.Duration, now time.Time) error {
	e, err := event.Prepare(ctx, r, Exchanged{Subject: subject(g), Scopes: g.Scopes}, now)
	if err != nil {
		return err
	}
	p := db.ExchangeParams{ID: g.ID, Now: &now, Event: e, IdleAt: g.IdleAt}
	if idle > 0 {
		p.Generation, p.IdleAt = 1, g.idleUntil(now.Add(idle))
		if p.UsedFrom, err = usedFrom(ctx, r, g); err != nil {
			return err
		}
	}
	_, err = db.New().Exchange(ctx, r.Write(), p)
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
