package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Chooser is the field in which somebody chooses a password. The steps that have one share it.
type Chooser struct{ Hasher *password.Hasher }

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
	least := r.Settings.Password.MinLength
	return PasswordFields{
		MinLength: least, Rules: fmt.Sprintf("minlength: %d;", least),
		Demands: []Message{{Key: "password.demand.length", Params: map[string]any{"min": least}}},
	}
}

// Check says what is wrong with a new password; nil when the realm accepts it. about are words of the person, which make
// no password.
func (Chooser) Check(_ context.Context, r realm.Realm, plain string, about []string) (*Message, error) {
	if plain == "" {
		return &Message{Key: "password.required"}, nil
	}
	if violations := (password.Policy{MinLength: r.Settings.Password.MinLength}).Check(plain); len(violations) > 0 {
		return &Message{Key: violations[0].Key, Params: violations[0].Params}, nil
	}
	return nil, nil //nolint:nilnil // no fault
}

// Hash hashes a password that Check accepted.
func (c Chooser) Hash(ctx context.Context, plain string) (string, error) {
	hash, err := c.Hasher.Hash(ctx, plain)
	return hash, Busy(err, "hash a new password")
}

// Busy makes of password.ErrBusy the problem that says when to try again.
func Busy(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, password.ErrBusy):
		return problem.New(problem.Unavailable).WithRetryAfter(5 * time.Second).Because(err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Words are what of a person makes no password: their names, and the parts of their address.
func Words(names ...string) []string {
	var words []string
	for _, name := range names {
		words = append(words, strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune(" @.+-_", c) })...)
	}
	return words
}
