package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/grant"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// Everything here changes one flow in the caller's transaction, and answers ErrGone when the flow is not this
// browser's any more or is complete.

// Proof is what a first factor found out.
type Proof struct {
	User       uuid.UUID
	AMR        []string
	Persistent bool
	// At is when it was proved; zero for now.
	At time.Time
	// Cookie is new; the browser gets it with the answer (Outcome.Cookie).
	Cookie session.Token
}

// Authenticate notes in the flow who proved to be whom. Session and flows of the browser move to a new cookie at once,
// not only when a session is made of the proof: whoever planted the cookie that the form came with could otherwise walk
// the rest of the way faster than its owner.
func Authenticate(ctx context.Context, tx realm.Tx, s *State, p Proof, now time.Time) error {
	if p.At.IsZero() {
		p.At = now
	}
	n, err := db.New().Authenticated(ctx, tx, db.AuthenticatedParams{
		TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), UserID: &p.User, AuthTime: &p.At, Amr: p.AMR, Persistent: p.Persistent,
	})
	if err := touched(n, err, "note an authentication"); err != nil {
		return err
	}
	if s.Session != nil {
		if err := session.Rotate(ctx, tx, s.Session.ID, s.Session.UserID, p.Cookie, now); err != nil {
			return err
		}
	}
	return moveBrowser(ctx, tx, s.Browser, p.Cookie)
}

// ChooseSession notes that the person goes on with the account that is there.
func ChooseSession(ctx context.Context, tx realm.Tx, s *State) error {
	return choose(ctx, tx, s, db.ChosenParams{ChosenUserID: &s.User.ID})
}

// ChooseAnother notes that the person wants to sign in as somebody else.
func ChooseAnother(ctx context.Context, tx realm.Tx, s *State) error {
	return choose(ctx, tx, s, db.ChosenParams{Another: true})
}

// SignOut ends a person's session because they want it, and what was authorized in it. Whoever ended it before did that too.
func SignOut(ctx context.Context, tx realm.Tx, id, person uuid.UUID, now time.Time) error {
	if ended, err := session.End(ctx, tx, id, person, "logout", now); err != nil || !ended {
		return err
	}
	return grant.RevokeBySession(ctx, tx, id, now)
}

func choose(ctx context.Context, tx realm.Tx, s *State, p db.ChosenParams) error {
	p.TxHash, p.BrowserHash = hashTx(s.Tx), s.Browser.Hash()
	n, err := db.New().Chosen(ctx, tx, p)
	return touched(n, err, "note a chosen account")
}

// Decide notes what the person who is there allows the client in this flow.
func Decide(ctx context.Context, tx realm.Tx, s *State, d Decision) error {
	if d.Scopes == nil {
		d.Scopes = []string{}
	}
	n, err := db.New().Decided(ctx, tx, db.DecidedParams{
		TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), DecidedUserID: &s.User.ID, DecidedScopes: d.Scopes,
	})
	return touched(n, err, "note a consent")
}

// SignIn makes a session of the flow's fresh proof, under a new cookie that all flows of the browser follow. It
// returns the state as it is then, for when the transaction has committed. Signing in twice is ErrGone.
func SignIn(ctx context.Context, tx realm.Tx, s *State, cookie session.Token, now time.Time) (*State, error) {
	q := db.New()
	n, err := q.SignedIn(ctx, tx, db.SignedInParams{
		TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), UserID: &s.User.ID, AuthTime: &s.Authenticated.At,
	})
	if err := touched(n, err, "make a session of a proof"); err != nil {
		return nil, err
	}
	start := session.New{
		Token: cookie, UserID: s.User.ID, AuthTime: s.Authenticated.At, AMR: s.Authenticated.AMR, ACR: s.Authenticated.ACR,
		Persistent: s.Authenticated.Persistent,
	}
	if s.Session != nil {
		start.Previous, start.PreviousUser = s.Session.ID, s.Session.UserID
	}
	id, err := session.Start(ctx, tx, start, now)
	if err != nil {
		return nil, err
	}
	if s.Session != nil && s.Session.ID != id {
		// Somebody else's session ended here, and with it what was authorized in it.
		if err := grant.RevokeBySession(ctx, tx, s.Session.ID, now); err != nil {
			return nil, err
		}
	}
	if err := moveBrowser(ctx, tx, s.Browser, cookie); err != nil {
		return nil, err
	}
	after := *s
	after.Browser, after.Authenticated.Fresh = cookie, false
	after.Session = &Session{ID: id, UserID: s.User.ID, AuthTime: s.Authenticated.At, Persistent: s.Authenticated.Persistent}
	return &after, nil
}

// Complete ends the flow. Completing twice is ErrGone.
func Complete(ctx context.Context, tx realm.Tx, s *State, now time.Time) error {
	n, err := db.New().Complete(ctx, tx, db.CompleteParams{TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), Now: &now})
	return touched(n, err, "complete a flow")
}

// moveBrowser gives the flows of a browser to its new cookie. Who knows only the old one loses them.
func moveBrowser(ctx context.Context, tx realm.Tx, before, after session.Token) error {
	if err := db.New().MoveBrowser(ctx, tx, db.MoveBrowserParams{Seen: before.Hash(), BrowserHash: after.Hash()}); err != nil {
		return fmt.Errorf("move a browser's flows: %w", err)
	}
	return nil
}

func touched(n int64, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}
