package keyset

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/keyset/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// How long a key stays in a state. One signs as long as the realm's settings say (lifetimes.signing_key). Its successor
// is published for Ahead before it signs, so that every relying party has read it: they may keep the key set for
// minutes. A retired key stays published for After, which is longer than any token lives, and then verifies nothing but
// an id_token_hint, until Hints.
const (
	Ahead = 24 * time.Hour
	After = 25 * time.Hour
	Hints = 400 * 24 * time.Hour
)

// ErrUnknown says that the realm has no such key, or none of such an algorithm.
var ErrUnknown = errors.New("the realm has no such key")

// Status describes a key without its secret.
type Status struct {
	KID, Alg, State string
	CreatedAt       time.Time
	// Since is when the key came into its state.
	Since time.Time
}

// List returns all keys that the realm has or had, the newest first.
func (s *Store) List(ctx context.Context, r postgres.Reader) ([]Status, error) {
	rows, err := db.New().States(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("list the realm's keys: %w", err)
	}
	list := make([]Status, 0, len(rows))
	for _, row := range rows {
		list = append(list, Status{row.Kid, row.Alg, row.State, row.CreatedAt, row.Since})
	}
	return list, nil
}

// Prepare makes the next key of an algorithm that the realm has an active key of, unless one is waiting already, and
// returns its id. It is published at once; Advance lets it sign after Ahead.
func (s *Store) Prepare(ctx context.Context, r realm.Realm, alg string) (string, error) {
	return s.next(ctx, r, alg, func(realm.Tx, string) error { return nil })
}

// RotateNow lets the next key of an algorithm sign at once, one made for it when none is waiting, and returns its id. The
// old key signs no more, and what it signed stays good: its tokens are verified as after any rotation. It is for an
// emergency, since whoever keeps the key set refuses the new key's tokens until they read it again. An algorithm that
// the realm does not sign by is ErrUnknown.
func (s *Store) RotateNow(ctx context.Context, r realm.Realm, alg string) (string, error) {
	return s.next(ctx, r, alg, func(tx realm.Tx, kid string) error { return s.replace(ctx, tx, kid, alg) })
}

// next finds or makes the next key of an algorithm that the realm signs by, and goes on with it in the same
// transaction.
func (s *Store) next(ctx context.Context, r realm.Realm, alg string, then func(tx realm.Tx, kid string) error) (kid string, err error) {
	list, err := s.List(ctx, r)
	if err != nil {
		return "", err
	}
	if find(list, alg, Active) == nil {
		return "", ErrUnknown
	}
	var spare crypto.Signer // made outside of the transaction, because an RSA key takes a while
	if find(list, alg, Next) == nil {
		if spare, err = generate(alg); err != nil {
			return "", fmt.Errorf("make a signing key: %w", err)
		}
	}
	err = r.InTx(ctx, func(tx realm.Tx) error {
		if kid, err = s.waiting(ctx, tx, alg, spare); err != nil {
			return err
		}
		return then(tx, kid)
	})
	s.cache.Drop(r.CacheKey(""))
	return kid, err
}

// waiting locks the realm's keys and returns the next one, made of spare when there is none.
func (s *Store) waiting(ctx context.Context, tx realm.Tx, alg string, spare crypto.Signer) (string, error) {
	if err := db.New().Lock(ctx, tx); err != nil {
		return "", fmt.Errorf("lock the realm's keys: %w", err)
	}
	list, err := s.List(ctx, tx)
	if err != nil {
		return "", err
	}
	if k := find(list, alg, Next); k != nil {
		return k.KID, nil
	}
	if spare == nil { // the one that was waiting signs already
		if spare, err = generate(alg); err != nil {
			return "", fmt.Errorf("make a signing key: %w", err)
		}
	}
	return s.add(ctx, tx, alg, Next, spare)
}

// Advance does what the schedule asks for now: it lets a next key sign that was published for Ahead, and prepares the
// successor of an active key that has signed for all of its life but Ahead. Any number of processes may do so at once.
func (s *Store) Advance(ctx context.Context, r realm.Realm) error {
	list, err := s.List(ctx, r)
	if err != nil {
		return err
	}
	var failed []error
	for _, active := range list {
		if active.State != Active {
			continue
		}
		switch next := find(list, active.Alg, Next); {
		case next != nil && !s.now().Before(next.Since.Add(Ahead)):
			failed = append(failed, s.promote(ctx, r, next.KID, next.Alg))
		case next == nil && !s.now().Before(active.Since.Add(time.Duration(r.Settings.Lifetimes.SigningKey)-Ahead)):
			_, err := s.Prepare(ctx, r, active.Alg)
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func find(list []Status, alg, state string) *Status {
	for i, k := range list {
		if k.Alg == alg && k.State == state {
			return &list[i]
		}
	}
	return nil
}

// promote lets a next key sign and retires the one before it. It does nothing when another process did it.
func (s *Store) promote(ctx context.Context, r realm.Realm, kid, alg string) error {
	err := r.InTx(ctx, func(tx realm.Tx) error {
		if err := db.New().Lock(ctx, tx); err != nil {
			return fmt.Errorf("lock the realm's keys: %w", err)
		}
		return s.replace(ctx, tx, kid, alg)
	})
	s.cache.Drop(r.CacheKey(""))
	return err
}

// replace lets a next key sign in the place of the active one, if it is waiting still. The realm's keys are locked.
func (s *Store) replace(ctx context.Context, tx realm.Tx, kid, alg string) error {
	retired, err := db.New().Retire(ctx, tx, db.RetireParams{Now: s.now(), Alg: alg, Successor: kid})
	if postgres.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("retire a key: %w", err)
	}
	return s.activate(ctx, tx, kid, Activated{Subject: event.Subject{Object: kid}, Alg: alg, Retired: retired})
}

func (s *Store) activate(ctx context.Context, tx realm.Tx, kid string, e Activated) error {
	n, err := db.New().Activate(ctx, tx, db.ActivateParams{Now: s.now(), Kid: kid})
	if err == nil && n != 1 {
		err = errors.New("it is not waiting any more")
	}
	if err != nil {
		return fmt.Errorf("let key %s sign: %w", kid, err)
	}
	return event.Record(ctx, tx, e, s.now())
}

// Revoke ends a key at once, as when its private half may be known to others: it leaves the key set, and no token that
// it signed is accepted any more. When it was the active one, the next key signs from now on, or one made for it. The
// id of that one is returned, "" when none was needed. A key that is not there or was revoked before is ErrUnknown.
func (s *Store) Revoke(ctx context.Context, r realm.Realm, kid string) (successor string, err error) {
	list, err := s.List(ctx, r)
	if err != nil {
		return "", err
	}
	var spare crypto.Signer // made outside of the transaction, because an RSA key takes a while
	for _, k := range list {
		if k.KID == kid && k.State == Active {
			if spare, err = generate(k.Alg); err != nil {
				return "", fmt.Errorf("make a signing key: %w", err)
			}
		}
	}
	err = r.InTx(ctx, func(tx realm.Tx) error {
		if err := db.New().Lock(ctx, tx); err != nil {
			return fmt.Errorf("lock the realm's keys: %w", err)
		}
		alg, err := db.New().Revoke(ctx, tx, db.RevokeParams{Now: s.now(), Kid: kid})
		if postgres.NoRows(err) {
			return ErrUnknown
		}
		if err != nil {
			return fmt.Errorf("revoke a key: %w", err)
		}
		if err := event.Record(ctx, tx, Revoked{Subject: event.Subject{Object: kid}, Alg: alg}, s.now()); err != nil {
			return err
		}
		successor, err = s.succeed(ctx, tx, alg, spare)
		return err
	})
	s.cache.Drop(r.CacheKey(""))
	return successor, err
}

// succeed gives the realm an active key of an algorithm again when a revocation left it without one.
func (s *Store) succeed(ctx context.Context, tx realm.Tx, alg string, spare crypto.Signer) (string, error) {
	list, err := s.List(ctx, tx)
	if err != nil || find(list, alg, Active) != nil {
		return "", err
	}
	if next := find(list, alg, Next); next != nil {
		return next.KID, s.activate(ctx, tx, next.KID, Activated{Subject: event.Subject{Object: next.KID}, Alg: alg})
	}
	if spare == nil { // it became the active one in between
		if spare, err = generate(alg); err != nil {
			return "", fmt.Errorf("make a signing key: %w", err)
		}
	}
	return s.add(ctx, tx, alg, Active, spare)
}

// Activated says that a key signs from now on, and which one does not any more.
type Activated struct {
	event.Subject `json:"-"`
	Alg           string `json:"alg"`
	Retired       string `json:"retired,omitempty"`
}

// Type implements event.Event.
func (Activated) Type() string { return "key.activated" }

// Revoked says that nothing signed by a key is accepted any more.
type Revoked struct {
	event.Subject `json:"-"`
	Alg           string `json:"alg"`
}

// Type implements event.Event.
func (Revoked) Type() string { return "key.revoked" }
