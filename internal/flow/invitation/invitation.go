// Package invitation is where the link of an invitation leads: the invited chooses a first password, which package
// newpassword asks for.
package invitation

import (
	"context"
	"io"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step owns the links. It is never pending.
type Step struct {
	Users  *user.Store
	Now    func() time.Time
	Random io.Reader
}

var _ flow.Linked = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "invitation" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.InteractionRequired }

// Pending implements flow.Step.
func (Step) Pending(*flow.State) bool { return false }

// Page implements flow.Step. Without its link there is nothing to see.
func (Step) Page(context.Context, realm.Realm, *flow.State) (flow.Page, error) {
	return flow.Page{}, flow.ErrGone
}

// Submit implements flow.Step.
func (Step) Submit(context.Context, realm.Realm, *flow.State, flow.Input) (flow.Outcome, error) {
	return flow.Outcome{}, flow.ErrGone
}

// Link implements flow.Linked.
func (step Step) Link(ctx context.Context, r realm.Realm, token string) (flow.Page, error) {
	if _, err := challenge.Look(ctx, r, challenge.Invite, token, step.Now()); err != nil {
		return flow.Page{}, err
	}
	return flow.LinkPage("invitation.link"), nil
}

// Follow implements flow.Linked. The link came by mail, so the address is proved.
func (step Step) Follow(ctx context.Context, r realm.Realm, f flow.Following) (to flow.Followed, err error) {
	now := step.Now()
	err = r.InTx(ctx, func(tx realm.Tx) error {
		c, err := flow.Spend(ctx, tx, challenge.Invite, f.Token, now)
		if err != nil {
			return err
		}
		if _, err := step.Users.ConfirmEmail(ctx, tx, c.User, c.Address, now); err != nil {
			return err
		}
		to, err = flow.Land(ctx, tx, step.Random, f.Browser, c, now)
		return err
	})
	return to, err
}
