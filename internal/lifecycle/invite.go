package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// What stands against mailing a link to somebody.
var (
	ErrInactive  = errors.New("the account is disabled or locked")
	ErrNoAddress = errors.New("the account has no e-mail address")
	// ErrHasPassword says that there is nothing to invite to.
	ErrHasPassword = errors.New("the account has a password already")
	// ErrVerified says that the address was confirmed before.
	ErrVerified = errors.New("the address is verified already")
)

// Mailed is a link that is on its way.
type Mailed struct {
	To string
	// Until is when the link stops working.
	Until time.Time
}

// Invite mails a link by which the person sets their first password. It ends the link of an earlier invitation.
// ErrInactive, ErrNoAddress or ErrHasPassword when there is nothing to invite them to.
func Invite(ctx context.Context, tx realm.Tx, m challenge.Mailer, person uuid.UUID, now time.Time) (Mailed, error) {
	address, err := reach(ctx, tx, person)
	if err != nil {
		return Mailed{}, err
	}
	hash, err := password.Stored(ctx, tx, person)
	if err != nil {
		return Mailed{}, err
	}
	if hash != "" {
		return Mailed{}, ErrHasPassword
	}
	return send(ctx, tx, m, challenge.New{Purpose: challenge.Invite, User: person, Address: address}, now)
}

// SendVerification mails a link by which the person confirms their address. It ends an earlier one. ErrInactive,
// ErrNoAddress or ErrVerified when there is nothing to confirm.
func SendVerification(ctx context.Context, tx realm.Tx, m challenge.Mailer, users *user.Store, person uuid.UUID, now time.Time) (Mailed, error) {
	address, err := reach(ctx, tx, person)
	if err != nil {
		return Mailed{}, err
	}
	u, err := users.ByID(ctx, tx, person)
	if err != nil {
		return Mailed{}, err
	}
	if u.Email().VerifiedAt != nil {
		return Mailed{}, ErrVerified
	}
	return send(ctx, tx, m, challenge.New{Purpose: challenge.Verify, User: person, Address: address}, now)
}

// reach holds the person and returns where mail reaches them.
func reach(ctx context.Context, tx realm.Tx, person uuid.UUID) (address string, err error) {
	status, err := user.Hold(ctx, tx, person)
	if err != nil {
		return "", err
	}
	if status != user.Active {
		return "", ErrInactive
	}
	if address, err = user.EmailOf(ctx, tx, person); err == nil && address == "" {
		err = ErrNoAddress
	}
	return address, err
}

func send(ctx context.Context, tx realm.Tx, m challenge.Mailer, n challenge.New, now time.Time) (Mailed, error) {
	n.Shown = n.Address
	if _, err := m.Send(ctx, tx, n, challenge.Letter{}, now); err != nil {
		return Mailed{}, fmt.Errorf("mail a link: %w", err)
	}
	return Mailed{To: n.Address, Until: now.Add(n.Purpose.Life())}, nil
}
