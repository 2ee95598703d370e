package grant

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Grace is how long a refresh token that was just replaced still yields its successor: long enough for a response
// that got lost or a second tab, at most what RFC 9700 §4.14.2 leaves room for.
const Grace = 10 * time.Second

// RefreshToken is a refresh token: which authorization, which generation, and a MAC by the realm's key. Nothing of it
// is stored, so that a leaked database yields none, and a token that is not ours is refused without reading a row.
type RefreshToken struct {
	Grant      uuid.UUID
	Generation int32
}

// key id ‖ grant id ‖ generation ‖ MAC
const (
	keyIDSize   = 4
	refreshSize = keyIDSize + 16 + 4 + 32
)

// Text is the token as the client gets it.
func (t RefreshToken) Text(r realm.Realm) (string, error) {
	mac, id, err := refreshKey(r)
	if err != nil {
		return "", err
	}
	raw := append(make([]byte, 0, refreshSize), id...)
	raw = append(raw, t.body()...)
	sum, err := mac.Sum([]byte("refresh"), r.ID[:], t.body())
	if err != nil {
		return "", fmt.Errorf("make a refresh token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, sum...)), nil
}

func (t RefreshToken) body() []byte {
	return binary.BigEndian.AppendUint32(t.Grant[:], uint32(t.Generation)) //nolint:gosec // never negative
}

// refreshKey is the realm's key for refresh tokens, and the id that tokens name it by.
func refreshKey(r realm.Realm) (envelope.MAC, []byte, error) {
	mac, err := r.MAC("grant.refresh")
	if err != nil {
		return mac, nil, err
	}
	id, err := mac.Sum([]byte("key id"))
	if err != nil {
		return mac, nil, fmt.Errorf("derive the refresh key's id: %w", err)
	}
	return mac, id[:keyIDSize], nil
}

// ParseRefreshToken reads a token that a client presents; false when this realm did not make it.
func ParseRefreshToken(r realm.Realm, text string) (RefreshToken, bool) {
	raw, ok := decode(text, refreshSize)
	if !ok {
		return RefreshToken{}, false
	}
	mac, id, err := refreshKey(r)
	if err != nil || !bytes.Equal(raw[:keyIDSize], id) {
		return RefreshToken{}, false
	}
	body, sum := raw[keyIDSize:refreshSize-32], raw[refreshSize-32:]
	if !mac.Verify(sum, []byte("refresh"), r.ID[:], body) {
		return RefreshToken{}, false
	}
	generation := binary.BigEndian.Uint32(body[16:])
	return RefreshToken{Grant: uuid.UUID(body[:16]), Generation: int32(generation)}, generation > 0 && generation < 1<<31 //nolint:gosec // bounded beside
}

// Format keeps tokens out of logs.
func (t RefreshToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Standing is what a presented generation means for an authorization.
type Standing int

// The standings.
const (
	// Current is the live one: the next comes of it.
	Current Standing = iota + 1
	// Repeated was replaced a moment ago: the live one is handed out once more.
	Repeated
	// Stale was replaced longer ago, or more than once: somebody kept a copy.
	Stale
	// Dead can no longer be used, whichever generation it is.
	Dead
)

// Standing says what a presented refresh token means for g.
func (g Grant) Standing(t RefreshToken, now time.Time) Standing {
	switch {
	case !g.Usable(now) || !now.Before(g.IdleAt) || t.Generation > g.Generation:
		return Dead
	case t.Generation == g.Generation:
		return Current
	case t.Generation == g.Generation-1 && now.Before(g.RotatedAt.Add(Grace)):
		return Repeated
	}
	return Stale
}

// Rotate makes the generation after t the live one, for the idle time: ErrLost when t no longer is. A use from another
// address or program than the last is recorded.
func Rotate(ctx context.Context, r realm.Realm, g Grant, t RefreshToken, idle time.Duration, now time.Time) error {
	from, err := usedFrom(ctx, r, g)
	if err != nil {
		return err
	}
	idleAt := g.idleUntil(now.Add(idle))
	if bytes.Equal(from, g.usedFrom) {
		n, err := db.New().Rotate(ctx, r.Write(), db.RotateParams{ID: g.ID, Seen: t.Generation, Now: &now, IdleAt: idleAt})
		if err == nil && n == 0 {
			return ErrLost
		}
		return lost(err, "rotate a refresh token")
	}
	e, err := event.Prepare(ctx, r, RefreshedElsewhere{Subject: subject(g)}, now)
	if err != nil {
		return err
	}
	_, err = db.New().RotateElsewhere(ctx, r.Write(), db.RotateElsewhereParams{
		ID: g.ID, Seen: t.Generation, Now: &now, IdleAt: idleAt, UsedFrom: from, Event: e,
	})
	return lost(err, "rotate a refresh token")
}

// idleUntil is when the refresh token ends unless it is used before: never after its authorization.
func (g Grant) idleUntil(t time.Time) time.Time {
	if g.EndsAt.Before(t) {
		return g.EndsAt
	}
	return t
}

// usedFrom is where a request comes from, so that the next one can be compared without keeping the address.
func usedFrom(ctx context.Context, r realm.Realm, g Grant) ([]byte, error) {
	mac, err := r.MAC("grant.used_from")
	if err != nil {
		return nil, err
	}
	o := event.From(ctx)
	sum, err := mac.Sum(g.ID[:], []byte(o.Address), []byte(o.UserAgent))
	if err != nil {
		return nil, err
	}
	return sum[:16], nil
}

// RefreshedElsewhere says that a refresh token was used from another address or program than before.
type RefreshedElsewhere struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (RefreshedElsewhere) Type() string { return "grant.refreshed_elsewhere" }
