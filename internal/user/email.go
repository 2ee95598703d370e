package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user/internal/db"
)

// ErrTaken says that a name belongs to another account.
var ErrTaken = errors.New("the name belongs to another account")

// Email is the person's e-mail address; nil when they have none.
func (u User) Email() *Name {
	for i := range u.Names {
		if u.Names[i].Kind == KindEmail {
			return &u.Names[i]
		}
	}
	return nil
}

// ConfirmEmail notes that the person proved to read what is sent to an address: nothing else makes one verified
// (ID-04). An address other than the one they have replaces it, which is what changing an address means (ID-05). It
// returns the address they had before, "" when none or the same; ErrTaken when somebody else has it.
func (s *Store) ConfirmEmail(ctx context.Context, tx realm.Tx, id uuid.UUID, address string, now time.Time) (before string, err error) {
	u, err := s.ByID(ctx, tx, id)
	if err != nil {
		return "", err
	}
	proved, err := Canonical(address)
	if err != nil || proved.Kind != KindEmail {
		return "", fmt.Errorf("confirm an address that is none: %w", errors.Join(err, ErrTaken))
	}
	owner, err := db.New().UserIDByIdentifier(ctx, tx, proved.Canonical)
	switch {
	case err == nil && owner != id:
		return "", ErrTaken
	case err != nil && !postgres.NoRows(err):
		return "", fmt.Errorf("find who has an address: %w", err)
	}
	have := u.Email()
	switch {
	case have == nil:
		_, err = s.addName(ctx, tx, id, proved, true)
	case have.Canonical == proved.Canonical && have.VerifiedAt != nil:
		return "", nil
	default:
		if have.Canonical != proved.Canonical {
			before = have.Display
		}
		err = db.New().UpdateIdentifier(ctx, tx, db.UpdateIdentifierParams{
			ID: have.ID, Canonical: proved.Canonical, Display: proved.Display, VerifiedAt: &now,
		})
	}
	if err != nil {
		return "", fmt.Errorf("confirm an address: %w", err)
	}
	return before, event.Record(ctx, tx, EmailVerified{Subject: event.Subject{User: id, Identifier: proved.Display}, Changed: before != ""}, now)
}

// Mask is an address as it is shown to whoever may not know it: a•••@example.com.
func Mask(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "•••"
	}
	_, size := utf8.DecodeRuneInString(address)
	return address[:size] + "•••" + address[at:]
}
