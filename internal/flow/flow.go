// Package flow takes a browser from an authorization request to an authenticated person who has done all that is
// asked of them.
//
// It has one concept, the Step: something that may still be missing (a password, a consent, accepted terms), with
// the page that asks for it. Engine holds the ordered lists of steps; Next walks them and stops at the first pending
// one. The first list finds out who is there: when it is done the proof becomes a session, whatever is decided
// afterwards. The second list is what that person must still do for this request. State, what steps decide on, is
// read by one statement. A flow row exists only while a step is pending; it is bound to the browser that started it
// and remembers the original request, so that a lapsed page starts again by itself.
//
// Steps never know each other and never write HTTP: package interaction turns Page and Outcome into responses,
// package oidc asks Next and issues when nothing is pending.
package flow

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Code is why a request cannot complete without interaction: what prompt=none is answered with (OpenID Connect
// Core §3.1.2.6).
type Code string

// The codes a step may name.
const (
	LoginRequired       Code = "login_required"
	ConsentRequired     Code = "consent_required"
	InteractionRequired Code = "interaction_required"
	AccountSelection    Code = "account_selection_required"
)

// Step is one thing that may still be missing.
type Step interface {
	// Name is the path below the issuer that the step owns, and the name of its template.
	Name() string
	// Pending tells whether the step has something to ask. It is pure: no I/O, no clock but s.Now.
	Pending(s *State) bool
	// Unmet is what prompt=none is answered with while the step is pending.
	Unmet() Code
	// Page is what the step shows.
	Page(ctx context.Context, r realm.Realm, s *State) (Page, error)
	// Submit acts on the posted form. What a person may do wrong is an Outcome; an error means that nothing was
	// decided, and rolls back.
	Submit(ctx context.Context, r realm.Realm, s *State, in Input) (Outcome, error)
}

// Alternative is a step that a person may take instead of the one that is due, such as making an account instead of
// signing in. Its page is reached by a link, and leads back by one.
type Alternative interface {
	Step
	// InsteadOf tells whether it may be taken while the step of that name is due; "" is a mailed flow in which nothing
	// is.
	InsteadOf(due string) bool
}

// Linked is a step that a link in a mail leads to: its path is the step's, followed by the link's token. Programs open
// every link of a mail, so that looking must change nothing (RS-04).
type Linked interface {
	Step
	// Link is the page that the link shows; realm.ErrUnknown when the link is spent or never was.
	Link(ctx context.Context, r realm.Realm, token string) (Page, error)
	// Follow spends the link.
	Follow(ctx context.Context, r realm.Realm, f Following) (Followed, error)
}

// Following is a link that somebody follows by pressing its button.
type Following struct {
	Token   string
	Browser session.Token
	Input   Input
	// Load reads a flow of this browser; ErrGone when it is not.
	Load func(tx string) (*State, error)
}

// Followed is where it leads: to a flow of this browser, or to a page, from which that flow goes on when there is one.
type Followed struct {
	// Tx and Kind are the flow that goes on; "" when none does.
	Tx, Kind string
	// Page is shown first; the zero Page when the flow goes on by itself.
	Page Page
	// Cookie is the browser's new cookie after a proof of identity, "" when it keeps the one it has.
	Cookie session.Token
}

// Page is what a step shows: data for its template, message keys instead of sentences.
type Page struct {
	// Template is that of another page than the step's own; "" for the step's.
	Template string
	// Title is the message key of the page's title, with its parameters.
	Title  Message
	Fields any
}

// Outcome is the result of a submitted form. The zero Outcome means: done, go on.
type Outcome struct {
	// Problem is shown on the page again, above the form; nil when the step is done.
	Problem *Message
	// Fields names inputs at fault, each with its message.
	Fields map[string]Message
	// Page is shown again with the problem: the step's page as the person left it, secrets removed.
	Page Page
	// RetryAfter says how long to wait; zero when that is not the problem.
	RetryAfter time.Duration
	// Cookie is the browser's new cookie after a proof of identity (Authenticate), "" when it keeps the one it has.
	Cookie session.Token
}

// Done tells whether the step was passed.
func (o Outcome) Done() bool { return o.Problem == nil && len(o.Fields) == 0 }

// Message is a message key and its parameters.
type Message struct {
	Key    string
	Params map[string]any
}

// Input is a posted form, already bounded in size.
type Input struct {
	// Form gives the first value of a field, "" when absent.
	Form func(name string) string
	// Address is the client's address.
	Address netip.Addr
	// Locale is the language of the page that the form stood on, for mails that follow from it.
	Locale string
}

// Value is the first value of a field, "" when absent. Passwords must be taken as they are: nothing is trimmed.
func (in Input) Value(name string) string { return in.Form(name) }

// Checked tells whether a box was ticked.
func (in Input) Checked(name string) bool { return in.Form(name) != "" }

// State is what deciding the next step needs: the request, the browser's session, the person, and how far this
// flow came.
type State struct {
	Now time.Time
	// Realm are the facts of the realm: settings and flags that steps obey.
	Realm *realm.Facts
	// Kind is KindMailed for a flow that no application asked for; Client and Request are empty then, or name the
	// client where it began.
	Kind    string
	Client  *client.Client
	Request Request
	// Form is the authorization request as it came.
	Form url.Values
	// Tx is the flow's reference as it stands in ?tx=; empty while there is no flow row.
	Tx string
	// Browser is the value of the realm's cookie; empty when the browser sent none.
	Browser session.Token
	// StartedAt is when the flow began; zero while there is no flow row.
	StartedAt time.Time
	// User is the person who proved who they are in this flow, else the session's; nil when nobody did.
	User *User
	// Authenticated is the proof: in this flow, or the session's.
	Authenticated Authentication
	// Session is the browser's live session; nil when there is none.
	Session *Session
	// Chosen tells that the person wants to go on with the session that there is, Another that they want to sign in as
	// somebody else.
	Chosen, Another bool
	// Consented are the scopes that the person allowed the client to have from now on.
	Consented []string
	// Decision is what the person decided about this request; nil as long as nobody did.
	Decision *Decision
	// Awaited is the mailed code that the flow waits for; nil when for none.
	Awaited *Awaited
	// Redeemed is who showed a mailed secret back and what it lets them do; nil when nobody did. They are not User: it
	// signs nobody in.
	Redeemed *Redeemed
	// Over tells that what was shown back in this flow allows nothing any more: the account has changed since.
	Over bool
	// Notice is a message key that the next page shows; "" for none.
	Notice string
	// Language is what the person chose on the page; "" when they did not.
	Language string
	// Lapsed tells that the flow's progress is too old to go on.
	Lapsed bool
	// Completed tells that the flow already led to a code.
	Completed bool
}

// Anew is the same request as if it had just come, without what happened in its flow.
func (s *State) Anew() *State {
	return &State{
		Now: s.Now, Client: s.Client, Request: s.Request, Form: s.Form, Browser: s.Browser, User: s.User,
		Authenticated: s.Authenticated, Session: s.Session, Consented: s.Consented, Realm: s.Realm, Kind: s.Kind,
	}
}

// Elsewhere tells that the flow waits for a mailed code, or does what one allows, so that nobody is asked to sign in
// meanwhile.
func (s *State) Elsewhere() bool { return s.Awaited != nil || s.Redeemed != nil }

// On tells whether a flag is on.
func On(flag *bool) bool { return flag != nil && *flag }

// App is what the page says the person is on the way to: the application's name, else the realm's.
func (s *State) App() string {
	if s.Client.Name != "" {
		return s.Client.Name
	}
	return s.Realm.Name
}

// URL is the path of a step in this flow, in the language that the person chose.
func (s *State) URL(step string) string { return path(s.Realm, step, s.Tx, s.Language) }

// Awaited is a mailed code that a flow waits for.
type Awaited struct {
	Purpose challenge.Purpose
	// Shown is what the person typed: the address it was sent to, or would have been, or another name of theirs.
	Shown string
	// Account is whose tries are counted; see flow.Account.
	Account string
	// CodeExpiresAt is when the code is too old; the link lives longer.
	CodeExpiresAt time.Time
}

// Redeemed is who showed a mailed secret back in a flow.
type Redeemed struct {
	Purpose challenge.Purpose
	User    User
}

// ProvedHere tells whether the person proved their identity since this flow began.
func (s *State) ProvedHere() bool {
	return s.Authenticated.Fresh || (!s.StartedAt.IsZero() && !s.Authenticated.At.Before(s.StartedAt))
}

// Denied tells whether the person refused what the client asks for.
func (s *State) Denied() bool { return s.Decision != nil && len(s.Decision.Scopes) == 0 }

// Unexpected tells whether somebody else is there than the request's id_token_hint says.
func (s *State) Unexpected() bool {
	return s.Request.HintSubject != "" && (s.User == nil || s.User.Subject != s.Request.HintSubject)
}

// User is the person, as much as steps decide on.
type User struct {
	ID      uuid.UUID
	Subject string
	// Active is false for a disabled or locked account.
	Active bool
	// Counter is what their attempts are counted under.
	Counter string
	// Claims are the person's own. Names are those they sign in with as they wrote them, the e-mail address first, and
	// Canonical the same as they are compared. They are read only when a step may need them: in a flow, and for a
	// login_hint.
	Claims    user.Claims
	Names     []string
	Canonical []string
	// Email is their address, "" when they have none, and EmailVerified whether it is theirs. They are read in a flow,
	// and when the realm demands it.
	Email         string
	EmailVerified bool
	// MustChange is why they must choose another password, "" when they need not; PasswordChangedAt when they chose the
	// one they have, nil when they have none.
	MustChange        string
	PasswordChangedAt *time.Time
}

// Display is what the person is called on a page: their name, or what they sign in with.
func (u *User) Display() string {
	if u.Claims.Name == "" && len(u.Names) > 0 {
		return u.Names[0]
	}
	return u.Claims.Name
}

// Handle is what tells the person apart from others of the name: what they sign in with, "" when that is what
// Display says.
func (u *User) Handle() string {
	if len(u.Names) == 0 || u.Names[0] == u.Display() {
		return ""
	}
	return u.Names[0]
}

// Is tells whether a name, as somebody typed it, is one that the person signs in with.
func (u *User) Is(name string) bool {
	id, err := user.Canonical(name)
	return err == nil && slices.Contains(u.Canonical, id.Canonical)
}

// Decision is a consent: the scopes that the person allows for this request, none when they refused.
type Decision struct{ Scopes []string }

// Authentication is a proof of identity.
type Authentication struct {
	At         time.Time
	AMR        []string // RFC 8176
	ACR        string
	Persistent bool // "Keep me signed in"
	// Fresh tells that it happened in this flow and no session holds it yet.
	Fresh bool
}

// Session is the browser's live session.
type Session struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	AuthTime   time.Time
	Persistent bool
}
