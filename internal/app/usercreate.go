package app

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// ErrNameTaken says that somebody else has the e-mail address or username.
var ErrNameTaken = errors.New("somebody in this realm has that name already")

// NewUser is a person to be made. One of Email and Username is needed, and at most one of Password, OneTime and Invite.
type NewUser struct {
	Email, Username, Name, Password string
	// Verified says that the address is known to be the person's.
	Verified bool
	// OneTime makes a password for them that works for so long.
	OneTime time.Duration
	// Invite mails them a link by which they set their password.
	Invite bool
}

// names are what the person signs in with.
func (n NewUser) names() (names []user.Identifier, err error) {
	for _, given := range []struct {
		text string
		read func(string) (user.Identifier, error)
	}{{n.Email, user.Email}, {n.Username, user.Username}} {
		if given.text == "" {
			continue
		}
		name, err := given.read(given.text)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// MadeUser is a person who was made, with what was made for them.
type MadeUser struct {
	Subject string
	OneTime OneTimePassword
	// Invitation is the zero value where nobody was invited.
	Invitation lifecycle.Mailed
}

// UserCreate makes a person.
func UserCreate(ctx context.Context, p Process, slug string, n NewUser) (made MadeUser, err error) {
	names, err := n.names()
	if err != nil {
		return MadeUser{}, err
	}
	err = withRealm(ctx, p, slug, func(ctx context.Context, s *System, r realm.Realm) error {
		hash := ""
		switch {
		case n.Password != "":
			hash, err = s.hashNew(ctx, r, n.Password)
		case n.OneTime > 0:
			made.OneTime, hash, err = s.oneTime(ctx, n.OneTime)
		}
		if err != nil {
			return err
		}
		return r.InTx(ctx, func(tx realm.Tx) error {
			u, err := s.Users.Create(ctx, tx, user.New{
				Status: user.Active, Claims: user.Claims{Name: n.Name}, Names: names, Verified: map[string]bool{user.KindEmail: n.Verified},
			})
			if postgres.UniqueViolation(err, "identifiers_realm_id_canonical_key") {
				return ErrNameTaken
			}
			if err != nil {
				return err
			}
			made.Subject = u.Subject
			switch {
			case n.Invite:
				made.Invitation, err = lifecycle.Invite(ctx, tx, s.mailer, u.ID, s.now())
			case n.OneTime > 0:
				err = password.SetTemporary(ctx, tx, u.ID, hash, made.OneTime.Until, s.now())
			case hash != "":
				err = password.Set(ctx, tx, u.ID, hash, s.now())
			}
			return err
		})
	})
	return made, err
}
