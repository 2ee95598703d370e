package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Chooser is the field in which somebody chooses a password. The steps that have one share it.
type Chooser struct {
	Hasher *password.Hasher
	// Passwords knows what the realm demands, and which passwords are known from elsewhere.
	Passwords *policy.Checker
}

// PasswordFields are what a page with a new password shows of the realm's demands.
type PasswordFields struct {
	// MinLength is for the field's attribute, Rules the rest of them as password managers read it.
	MinLength int
	Rules     string
	// Demands are the texts of what is demanded.
	Demands []Message
}

// Fields are the demands of the realm.
func (Chooser) Fields(r realm.Realm) PasswordFields {
	demanded := policy.Of(r)
	f := PasswordFields{MinLength: r.Settings.Password.MinLength, Rules: demanded.PasswordRules()}
	for _, d := range demanded.Requirements() {
		f.Demands = append(f.Demands, Message{d.Key, d.Params})
	}
	return f
}

// Check says what is wrong with a new password; nil when the realm accepts it. names are those of the person, which make
// no password. It may ask a service for seconds: not inside a transaction.
func (c Chooser) Check(ctx context.Context, r realm.Realm, plain string, names ...string) (*Message, error) {
	if plain == "" {
		return &Message{Key: "password.required"}, nil
	}
	wrong, err := c.Passwords.Check(ctx, r, plain, policy.Person{Words: names})
	if err != nil {
		return nil, fmt.Errorf("check a new password: %w", err)
	}
	if len(wrong) > 0 {
		return &Message{wrong[0].Key, wrong[0].Params}, nil
	}
	return nil, nil //nolint:nilnil // no fault
}

// Used says that a password is one of the person's latest, where it is.
func (c Chooser) Used(ctx context.Context, r realm.Realm, person uuid.UUID, plain string) (*Message, error) {
	used, err := password.Used(ctx, r, person)
	if err != nil {
		return nil, err
	}
	demanded := policy.Of(r)
	again, err := c.Hasher.Reused(ctx, plain, used, demanded.History())
	if err != nil || !again {
		return nil, Busy(err, "compare with passwords used before")
	}
	fault := demanded.AlreadyUsed()
	return &Message{fault.Key, fault.Params}, nil
}

// Hash hashes a password that Check accepted.
func (c Chooser) Hash(ctx context.Context, plain string) (string, error) {
	hash, err := c.Hasher.Hash(ctx, plain)
	return hash, Busy(err, "hash a new password")
}

// Busy makes the problem that says when to try again of an error that says that passwords cannot be compared now.
func Busy(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case password.Unavailable(err):
		return problem.New(problem.Unavailable).WithRetryAfter(5 * time.Second).Because(err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
