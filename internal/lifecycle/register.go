package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Registration is an account that somebody asks for. It waits, sealed, in the challenge that proves its address, so
// that asking for a known address costs what asking for an unknown one does, and nobody holds an address that they
// cannot read.
type Registration struct {
	Hash   string      `json:"hash"`
	Claims user.Claims `json:"claims"`
}

// Payload is what the challenge keeps of it.
func (g Registration) Payload() ([]byte, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("encode a registration: %w", err)
	}
	return b, nil
}

// Proved is whose address was proved.
type Proved struct {
	User uuid.UUID
	// Registered is when the account was made that was asked for where the challenge was: its password was typed there,
	// and who was signed out of everything since must type it again. Zero for an account that was there before.
	Registered time.Time
}

// Prove acts on a challenge of purpose Verify that was shown back: it makes the account that was asked for, or confirms
// the address of the one that there is. It is user.ErrTaken when the address belongs to another account by now.
func Prove(ctx context.Context, tx realm.Tx, users *user.Store, c challenge.Challenge, now time.Time) (Proved, error) {
	if c.Payload != nil {
		made, err := register(ctx, tx, users, c, true, now)
		return Proved{made, now}, err
	}
	if c.User == uuid.Nil {
		return Proved{}, user.ErrTaken
	}
	p := Proved{User: c.User}
	if c.Registers {
		u, err := users.ByID(ctx, tx, c.User)
		if err != nil {
			return Proved{}, err
		}
		p.Registered = u.CreatedAt
	}
	return p, confirmEmail(ctx, tx, users, c.User, c.Address, now)
}

// RegisterUnproved makes the account of a registration whose address is not proved yet, where the realm lets people in
// without. A decoy, or an address that somebody has by now, makes none and is no error.
func RegisterUnproved(ctx context.Context, tx realm.Tx, users *user.Store, id uuid.UUID, now time.Time) error {
	c, err := challenge.Waiting(ctx, tx, id, now)
	if errors.Is(err, realm.ErrUnknown) || (err == nil && c.Payload == nil) {
		return nil
	}
	if err != nil {
		return err
	}
	made, err := register(ctx, tx, users, c, false, now)
	if errors.Is(err, user.ErrTaken) {
		return nil
	}
	if err != nil {
		return err
	}
	return challenge.Assign(ctx, tx, id, made)
}

func register(ctx context.Context, tx realm.Tx, users *user.Store, c challenge.Challenge, proved bool, now time.Time) (uuid.UUID, error) {
	var asked Registration
	if err := json.Unmarshal(c.Payload, &asked); err != nil {
		return uuid.Nil, fmt.Errorf("read a registration: %w", err)
	}
	email, err := user.Canonical(c.Address)
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the address of a registration: %w", err)
	}
	_, err = users.ByCanonical(ctx, tx, email.Canonical)
	if err == nil {
		return uuid.Nil, user.ErrTaken
	}
	if !errors.Is(err, realm.ErrUnknown) {
		return uuid.Nil, err
	}
	u, err := users.Create(ctx, tx, user.New{
		Status: user.Active, Claims: asked.Claims, Names: []user.Identifier{email}, Verified: map[string]bool{user.KindEmail: proved},
	})
	if err != nil {
		return uuid.Nil, err
	}
	if err := password.Set(ctx, tx, u.ID, asked.Hash, now); err != nil {
		return uuid.Nil, err
	}
	about := event.Subject{User: u.ID, Identifier: email.Display}
	return u.ID, event.Record(ctx, tx, user.Registered{Subject: about, Proved: proved}, now)
}

// confirmEmail confirms an address. When it replaces another one, both are told, and links that were mailed to set the
// password die (ID-05).
func confirmEmail(ctx context.Context, tx realm.Tx, users *user.Store, id uuid.UUID, address string, now time.Time) error {
	before, err := users.ConfirmEmail(ctx, tx, id, address, now)
	if err != nil || before == "" {
		return err
	}
	if err := endLinks(ctx, tx, id, now); err != nil {
		return err
	}
	for _, m := range []notify.Message{
		{Template: notify.EmailChangedOld, User: id, To: before, Data: map[string]string{"new": user.Mask(address), "recover": recoverURL(tx.In())}},
		{Template: notify.EmailChangedNew, User: id, To: address},
	} {
		if _, err := notify.Send(ctx, tx, m, now); err != nil {
			return err
		}
	}
	return nil
}

func recoverURL(r realm.Realm) string { return r.Issuer + "/recover" }
