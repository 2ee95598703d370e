// Package profile is the step that asks people for what the realm demands to know of them and does not yet.
package profile

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for required claims.
type Step struct {
	Users *user.Store
	Now   func() time.Time
}

var _ flow.Step = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "profile" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.InteractionRequired }

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool {
	return s.User != nil && len(flow.ProfileInputs(s.Realm, s.User.Claims, true)) > 0
}

// Fields are what the page shows.
type Fields struct{ Inputs []flow.ProfileInput }

// Page implements flow.Step.
func (Step) Page(_ context.Context, _ realm.Realm, s *flow.State) (flow.Page, error) {
	return page(flow.ProfileInputs(s.Realm, s.User.Claims, true)), nil
}

func page(inputs []flow.ProfileInput) flow.Page {
	return flow.Page{Title: flow.Message{Key: "profile.title"}, Fields: Fields{inputs}}
}

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	inputs := flow.ProfileInputs(s.Realm, s.User.Claims, true)
	_, wrong := flow.ReadProfile(inputs, s.User.Claims, in)
	if len(wrong) > 0 {
		for i := range inputs {
			inputs[i].Value = in.Value(inputs[i].Claim)
		}
		return flow.Outcome{Fields: wrong, Page: page(inputs)}, nil
	}
	ctx = event.By(ctx, event.User, s.User.ID.String())
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
		u, err := step.Users.ByID(ctx, tx, s.User.ID)
		if err != nil {
			return err
		}
		claims, _ := flow.ReadProfile(inputs, u.Claims, in) // over what stands there now
		return step.Users.SetClaims(ctx, tx, u, claims)
	})
}
