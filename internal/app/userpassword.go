package app

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// UnfitPasswordError says what the realm's policy has against a password.
type UnfitPasswordError []policy.Violation

// Error implements error.
func (e UnfitPasswordError) Error() string {
	var keys []string
	for _, v := range e {
		keys = append(keys, v.Key)
	}
	return "the realm's policy refuses the password: " + strings.Join(keys, ", ")
}

// UserSetPassword gives the person whom a name means another password, and signs them out of everything.
func UserSetPassword(ctx context.Context, p Process, slug, name, plain string) (done lifecycle.Result, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		hash, err := s.hashNew(ctx, r, plain)
		if err != nil {
			return err
		}
		return r.InTx(ctx, func(tx realm.Tx) error {
			done, err = lifecycle.SetPassword(ctx, tx, lifecycle.NewPassword{User: u.ID, Hash: hash}, s.now())
			return err
		})
	})
	return done, err
}

// OneTimePassword works until it expires, and must be changed at the first sign-in. It is the zero value where none was
// made.
type OneTimePassword struct {
	Password config.Secret
	Until    time.Time
}

// UserSetOneTimePassword gives the person whom a name means a password that we make, for that long, and signs them out
// of everything. Whoever calls shows it once; it is stored as a hash alone.
func UserSetOneTimePassword(ctx context.Context, p Process, slug, name string, life time.Duration) (once OneTimePassword, done lifecycle.Result, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		var hash string
		if once, hash, err = s.oneTime(ctx, life); err != nil {
			return err
		}
		return r.InTx(ctx, func(tx realm.Tx) error {
			done, err = lifecycle.SetPassword(ctx, tx, lifecycle.NewPassword{User: u.ID, Hash: hash, Expires: once.Until}, s.now())
			return err
		})
	})
	return once, done, err
}

// oneTime makes such a password and its hash.
func (s *System) oneTime(ctx context.Context, life time.Duration) (once OneTimePassword, hash string, err error) {
	plain, err := password.Generate(rand.Reader)
	if err != nil {
		return OneTimePassword{}, "", err
	}
	if hash, err = s.Hasher.Hash(ctx, plain); err != nil {
		return OneTimePassword{}, "", err
	}
	return OneTimePassword{Password: config.NewSecret(plain), Until: s.now().Add(life)}, hash, nil
}

// hashNew hashes a password that the realm's policy accepts.
func (s *System) hashNew(ctx context.Context, r realm.Realm, plain string) (string, error) {
	wrong, err := s.Passwords.Check(ctx, r, plain, policy.Person{})
	if err != nil {
		return "", err
	}
	if len(wrong) > 0 {
		return "", UnfitPasswordError(wrong)
	}
	return s.Hasher.Hash(ctx, plain)
}
