package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// ErrGone says that there is no such flow for this browser: never there, another browser's, or past the day that
// its request is kept.
var ErrGone = errors.New("no such flow for this browser")

// Engine holds the steps and the flows.
type Engine struct {
	// Authenticate are the steps that find out who is there, in order.
	Authenticate []Step
	// Require are the steps that this person must still do for the request, in order.
	Require []Step
	Clients *client.Store
	Seen    *session.Seen
	Now     func() time.Time
	Random  io.Reader
}

// Steps are all steps in their order.
func (e *Engine) Steps() []Step { return slices.Concat(e.Authenticate, e.Require) }

// Next returns the first pending step, nil when nothing is missing. A mailed flow signs nobody in: only what a mailed
// secret is awaited for or allows is done in it.
func (e *Engine) Next(s *State) Step {
	if s.Kind == KindMailed {
		if !s.Elsewhere() {
			return nil
		}
		return pending(e.Authenticate, s)
	}
	if step := pending(e.Authenticate, s); step != nil {
		return step
	}
	return pending(e.Require, s)
}

// Authenticated tells whether it is settled who is there: a fresh proof may become a session.
func (e *Engine) Authenticated(s *State) bool { return pending(e.Authenticate, s) == nil }

func pending(steps []Step, s *State) Step {
	for _, step := range steps {
		if step.Pending(s) {
			return step
		}
	}
	return nil
}

// Begin reads the state of a request that has no flow yet, by one statement: the browser's session and what its
// person allowed the client. browser may be "".
func (e *Engine) Begin(ctx context.Context, r realm.Realm, browser session.Token, c *client.Client, form url.Values, hintSubject string) (*State, error) {
	s := &State{Now: e.Now(), Realm: r.Facts, Kind: KindAuthorize, Browser: browser, Client: c, Form: form, Request: ParseRequest(form)}
	s.Request.HintSubject = hintSubject
	if browser == "" {
		return s, nil
	}
	row, err := db.New().State(ctx, r, db.StateParams{
		BrowserHash: browser.Hash(), Now: s.Now, ClientID: c.ClientID, WithNames: s.Request.LoginHint != "" || demandsProfile(r),
		WithEmail: On(r.Flags.RequireEmailVerification),
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of a request: %w", err)
	}
	return s, e.fill(r, s, row)
}

// demandsProfile tells whether the realm wants to know something of everybody.
func demandsProfile(r realm.Realm) bool {
	return slices.ContainsFunc(r.Settings.Profile, func(f realm.ProfileField) bool { return f.Required })
}

// Load reads the state of the flow of tx, by one statement. When the flow is not this browser's it returns ErrGone.
func (e *Engine) Load(ctx context.Context, r realm.Realm, tx string, browser session.Token) (*State, error) {
	if tx == "" || browser == "" {
		return nil, ErrGone
	}
	s := &State{Now: e.Now(), Realm: r.Facts, Tx: tx, Browser: browser}
	row, err := db.New().State(ctx, r, db.StateParams{
		TxHash: hashTx(tx), Tx: tx, BrowserHash: browser.Hash(), Now: s.Now, WithNames: true, WithEmail: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of a flow: %w", err)
	}
	if row.TxHash == nil {
		return nil, ErrGone
	}
	s.Kind = row.FlowKind
	if s.Client, err = e.clientOf(ctx, r, row); err != nil {
		return nil, err
	}
	if s.Form, err = url.ParseQuery(row.Request); err != nil {
		return nil, fmt.Errorf("read the request of a flow: %w", err)
	}
	s.Request = ParseRequest(s.Form)
	s.Request.HintSubject = row.HintSubject
	return s, e.fill(r, s, row)
}

// clientOf is the client of a flow. A mailed flow may have none, and goes on when it is gone.
func (e *Engine) clientOf(ctx context.Context, r realm.Realm, row db.StateRow) (*client.Client, error) {
	mailed := row.FlowKind == KindMailed
	if mailed && row.FlowClientID == "" {
		return &client.Client{}, nil
	}
	c, err := e.Clients.ByClientID(ctx, r, row.FlowClientID)
	if mailed && errors.Is(err, realm.ErrUnknown) {
		return &client.Client{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the client of a flow: %w", err)
	}
	return c, nil
}

// fill takes over what was read of browser, person and flow.
func (e *Engine) fill(r realm.Realm, s *State, row db.StateRow) error {
	if row.UserID != uuid.Nil {
		s.User = &User{
			ID: row.UserID, Subject: row.Subject, Active: row.UserStatus == "active", Counter: user.Counter(row.UserID, row.Forgiven), Names: row.Names, Canonical: row.CanonicalNames,
			Email: row.Email, EmailVerified: row.EmailVerified, MustChange: row.MustChange, PasswordChangedAt: row.PasswordChangedAt,
		}
		if err := json.Unmarshal(row.Claims, &s.User.Claims); err != nil {
			return fmt.Errorf("read the claims of a flow's person: %w", err)
		}
		s.Consented = row.ConsentedScopes
	}
	if row.SessionID != nil {
		s.Session = &Session{ID: *row.SessionID, UserID: *row.SessionUserID, AuthTime: *row.SessionAuthTime, Persistent: *row.SessionPersistent}
		s.Authenticated = Authentication{At: *row.SessionAuthTime, AMR: row.SessionAmr, ACR: row.SessionAcr, Persistent: *row.SessionPersistent}
		if e.Seen != nil {
			e.Seen.Note(r, s.Session.ID, s.Now)
		}
	}
	if row.TxHash != nil {
		s.fillProgress(row)
	}
	return nil
}

// fillProgress takes over how far the flow came. What a lapsed flow found out does not count, and neither does what
// somebody else chose or decided who was signed in then.
func (s *State) fillProgress(row db.StateRow) {
	s.StartedAt = *row.FlowCreatedAt
	s.Completed = row.FlowCompletedAt != nil
	s.Lapsed = !s.Completed && !s.Now.Before(*row.FlowExpiresAt)
	if row.MailPurpose != "" && !s.Lapsed {
		s.Awaited = &Awaited{
			Purpose: challenge.Purpose(row.MailPurpose), Shown: row.MailShown, CodeExpiresAt: *row.MailCodeExpiresAt, Account: account(row),
		}
	}
	switch {
	case row.RedeemedUserID != nil:
		// The person was read by it, and is nobody who signed in. A disabled account is nobody's to recover (AZ-15), and
		// one that has another address by now not by what was sent to the former (ID-05).
		s.Over = s.User == nil || !s.User.Active || row.RedeemedAddress == "" || row.RedeemedAddress != s.User.Email
		if !s.Over && !s.Lapsed {
			s.Redeemed = &Redeemed{Purpose: challenge.Purpose(row.RedeemedPurpose), User: *s.User}
		}
		s.User, s.Consented = nil, nil
	case row.FlowUserID == nil:
	case s.Lapsed || row.FlowStale:
		// The proof is too old to count, or its person was signed out of everything since, and they were read by it.
		s.User, s.Consented = nil, nil
	default:
		s.Authenticated = Authentication{At: *row.FlowAuthTime, AMR: row.FlowAmr, ACR: acr(row.FlowAmr), Persistent: row.FlowPersistent, Fresh: true}
	}
	if s.Lapsed {
		return
	}
	s.Another, s.Notice = row.Another, row.Notice
	if s.User == nil {
		return
	}
	s.Chosen = row.ChosenUserID != nil && *row.ChosenUserID == s.User.ID
	if row.DecidedUserID != nil && *row.DecidedUserID == s.User.ID {
		s.Decision = &Decision{Scopes: row.DecidedScopes}
	}
}

// acr is the authentication context class of a proof: "1" for one factor (OpenID Connect Core §2).
func acr([]string) string { return "1" }

// account is whose tries at a mailed code are counted.
func account(row db.StateRow) string {
	if row.MailUserID != nil {
		return user.Counter(*row.MailUserID, row.MailForgiven)
	}
	return Account("", row.MailShown)
}

// Account is the name under which tries and mails are counted: the counter of the person, so that all their spellings and
// names share one budget, else what was typed in its canonical form (LG-03).
func Account(counter, typed string) string {
	if counter != "" {
		return counter
	}
	if name, err := user.Canonical(typed); err == nil {
		return name.Canonical
	}
	return typed
}
