package realmfile

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// credential is what was found and computed about a person's password before the transaction, which is no place for
// hashing.
type credential struct {
	seen      string // the stored hash, "" for none
	hash      string // the new one, "" when seen will do
	generated config.Secret
}

func (w *run) prepare(ctx context.Context, r realm.Realm, p *named[person]) (credential, error) {
	var c credential
	plain := p.given.Password.Reveal()
	if plain == "" && !p.given.GeneratePassword {
		return c, nil
	}
	if !w.isNew {
		key, err := user.Canonical(p.given.key())
		if err != nil {
			return c, err
		}
		found, err := password.Find(ctx, r, key.Canonical, w.Now())
		switch {
		case errors.Is(err, realm.ErrUnknown):
		case err != nil:
			return c, err
		default:
			// Find hides what has expired.
			if c.seen, err = password.Stored(ctx, r, found.ID); err != nil {
				return c, err
			}
		}
	}
	if p.given.GeneratePassword {
		if c.seen != "" {
			return c, nil
		}
		var err error
		if plain, err = password.Generate(w.Random); err != nil {
			return c, err
		}
		c.generated = config.NewSecret(plain)
	}
	same, err := w.matches(ctx, c.seen, plain)
	if err != nil || same {
		return c, err
	}
	c.hash, err = w.Hasher.Hash(ctx, plain)
	return c, err
}

func (w *run) matches(ctx context.Context, hash, plain string) (bool, error) {
	if hash == "" {
		return false, nil
	}
	result, err := w.Hasher.Verify(ctx, hash, plain)
	for _, unusable := range []error{password.ErrUnknownFormat, password.ErrMalformed, password.ErrTooCostly} {
		if errors.Is(err, unusable) {
			return false, nil
		}
	}
	return result.OK, err
}

// password stores what prepare computed, or an imported hash.
func (w *run) password(ctx context.Context, tx realm.Tx, p *named[person], u user.User, c credential) error {
	if !p.has("password") && !p.has("password_hash") && !p.given.GeneratePassword {
		return nil
	}
	stored, err := password.Stored(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	hash := c.hash
	if p.has("password_hash") {
		if stored != "" {
			return nil
		}
		hash = p.given.PasswordHash.Reveal()
		err := w.Hasher.ValidateEncoded(hash)
		if w.weakHashes && errors.Is(err, password.ErrWeak) {
			err = nil
		}
		if err != nil {
			reportHash(p, err, w.found)
			return nil
		}
	} else if stored != c.seen {
		return errRaced
	}
	if hash == "" {
		return nil
	}
	if p.has("password") {
		before := len(w.found.list)
		if reportPolicy(p, w.demands, w.found); len(w.found.list) > before {
			return nil
		}
	}
	action := Created
	if stored != "" {
		action = Updated
	}
	w.report.note(KindPassword, p.given.key(), action)
	if !c.generated.IsZero() {
		w.report.generated(KindPassword, p.given.key(), c.generated)
	}
	return password.Set(ctx, tx, u.ID, hash, w.Now())
}
