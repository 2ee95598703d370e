package flow

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// ErrGone says that there is no such flow for this browser: never there, another browser's, or past the day that
// its request is kept.
var ErrGone = errors.New("no such flow for this browser")

const (
	// requestKept is how long the original request outlives the flow's progress.
	requestKept = 24 * time.Hour
	// bindWithin is how soon the browser must follow after another site's form started a flow.
	bindWithin = time.Minute
)

// Engine holds the steps and the flows.
type Engine struct {
	Steps   []Step
	Clients *client.Store
	Seen    *session.Seen
	Now     func() time.Time
	Random  io.Reader
}

// Next returns the first pending step, nil when nothing is missing.
func (e *Engine) Next(s *State) Step {
	for _, step := range e.Steps {
		if step.Pending(s) {
			return step
		}
	}
	return nil
}

// StepNamed returns the step of that name, nil when there is none.
func (e *Engine) StepNamed(name string) Step {
	for _, step := range e.Steps {
		if step.Name() == name {
			return step
		}
	}
	return nil
}

// Load reads the state by one statement: the flow of tx when it is this browser's, and the browser's session. With
// tx "" there is no flow and the caller fills in Client and Request. With a tx that is not this browser's it
// returns ErrGone. browser may be "".
func (e *Engine) Load(ctx context.Context, r realm.Realm, tx string, browser session.Token) (*State, error) {
	now := e.Now()
	s := &State{Now: now, Tx: tx, Browser: browser}
	if browser == "" {
		if tx != "" {
			return nil, ErrGone
		}
		return s, nil
	}
	row, err := db.New().State(ctx, r, db.StateParams{TxHash: hashTx(tx), BrowserHash: browser.Hash(), Now: now})
	if err != nil {
		return nil, fmt.Errorf("read the state of a flow: %w", err)
	}
	if tx != "" && row.TxHash == nil {
		return nil, ErrGone
	}
	fill(s, row)
	if s.Session != nil && e.Seen != nil {
		e.Seen.Note(r, s.Session.ID, now)
	}
	if tx == "" {
		return s, nil
	}
	if s.Client, err = e.Clients.ByClientID(ctx, r, row.FlowClientID); err != nil {
		return nil, fmt.Errorf("find the client of a flow: %w", err)
	}
	form, err := url.ParseQuery(row.Request)
	if err != nil {
		return nil, fmt.Errorf("read the request of a flow: %w", err)
	}
	s.Form, s.Request = form, ParseRequest(form)
	return s, nil
}

func fill(s *State, row db.StateRow) {
	if row.UserID != nil {
		s.User = &User{ID: *row.UserID, Subject: row.Subject, Active: row.UserStatus == "active"}
	}
	if row.SessionID != nil {
		s.Session = &Session{ID: *row.SessionID, UserID: *row.SessionUserID, AuthTime: *row.SessionAuthTime, Persistent: *row.SessionPersistent}
		s.Authenticated = Authentication{At: *row.SessionAuthTime, AMR: row.SessionAmr, ACR: row.SessionAcr, Persistent: *row.SessionPersistent}
	}
	if row.TxHash == nil {
		return
	}
	s.StartedAt = *row.FlowCreatedAt
	s.Completed = row.FlowCompletedAt != nil
	s.Lapsed = !s.Completed && !s.Now.Before(*row.FlowExpiresAt)
	switch {
	case s.Completed || s.Lapsed:
		// What the flow proved is in a session by now, or too old to count.
		if s.Session == nil || (s.User != nil && s.User.ID != s.Session.UserID) {
			s.User, s.Authenticated = nil, Authentication{}
		}
	case row.FlowUserID != nil:
		s.Authenticated = Authentication{At: *row.FlowAuthTime, AMR: row.FlowAmr, ACR: acr(row.FlowAmr), Persistent: row.FlowPersistent, Fresh: true}
	}
}

// acr is the authentication context class of a proof: "1" for one factor (OpenID Connect Core §2).
func acr([]string) string { return "1" }

// Start makes a flow for an authorization request and returns its reference for ?tx=. With browser "" the flow is
// bound by the GET that follows (Bind).
func (e *Engine) Start(ctx context.Context, r realm.Realm, clientID string, form url.Values, browser session.Token) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(e.Random, b[:]); err != nil {
		return "", fmt.Errorf("make a flow reference: %w", err)
	}
	tx, now := base64.RawURLEncoding.EncodeToString(b[:]), e.Now()
	p := db.InsertFlowParams{
		TxHash: hashTx(tx), Kind: "authorize", ClientID: clientID, Request: form.Encode(), Now: now,
		ExpiresAt: now.Add(time.Duration(r.Settings.Lifetimes.Flow)), EndsAt: now.Add(requestKept),
	}
	if browser != "" {
		p.BrowserHash = browser.Hash()
	}
	if err := db.New().InsertFlow(ctx, r.Write(), p); err != nil {
		return "", fmt.Errorf("start a flow: %w", err)
	}
	return tx, nil
}

// Bind gives a flow that another site's form started to the browser that followed, once and within a minute.
// ErrGone when it is too late or somebody was faster.
func (e *Engine) Bind(ctx context.Context, r realm.Realm, tx string, browser session.Token) error {
	n, err := db.New().BindFlow(ctx, r.Write(), db.BindFlowParams{
		TxHash: hashTx(tx), BrowserHash: browser.Hash(), Since: e.Now().Add(-bindWithin),
	})
	if err != nil {
		return fmt.Errorf("bind a flow: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}

// Restart takes a lapsed flow back to its beginning; the request stays.
func (e *Engine) Restart(ctx context.Context, r realm.Realm, tx string, browser session.Token) error {
	n, err := db.New().Restart(ctx, r.Write(), db.RestartParams{
		TxHash: hashTx(tx), BrowserHash: browser.Hash(), ExpiresAt: e.Now().Add(time.Duration(r.Settings.Lifetimes.Flow)),
	})
	if err != nil {
		return fmt.Errorf("restart a flow: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}

// Proof is what a first factor found out.
type Proof struct {
	User       uuid.UUID
	AMR        []string
	Persistent bool
}

// Authenticate notes in the flow who proved to be whom. ErrGone when the flow is not this browser's any more.
func Authenticate(ctx context.Context, tx realm.Tx, s *State, p Proof, now time.Time) error {
	n, err := db.New().Authenticated(ctx, tx, db.AuthenticatedParams{
		TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), UserID: &p.User, AuthTime: &now, Amr: p.AMR, Persistent: p.Persistent,
	})
	if err != nil {
		return fmt.Errorf("note an authentication: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}

// Complete ends the flow and makes a session of a fresh proof, under a new cookie that all flows of the browser
// follow. It returns the session's id. Completing twice is ErrGone.
func Complete(ctx context.Context, tx realm.Tx, s *State, cookie session.Token, now time.Time) (uuid.UUID, error) {
	q := db.New()
	n, err := q.Complete(ctx, tx, db.CompleteParams{TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), Now: &now})
	if err != nil {
		return uuid.Nil, fmt.Errorf("complete a flow: %w", err)
	}
	if n == 0 {
		return uuid.Nil, ErrGone
	}
	if !s.Authenticated.Fresh {
		return s.Session.ID, nil
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
		return uuid.Nil, err
	}
	// Whoever knew the old cookie, because they had planted it, loses the flows with it.
	if err := q.MoveBrowser(ctx, tx, db.MoveBrowserParams{Seen: s.Browser.Hash(), BrowserHash: cookie.Hash()}); err != nil {
		return uuid.Nil, fmt.Errorf("move a browser's flows: %w", err)
	}
	return id, nil
}

func hashTx(tx string) []byte {
	h := sha256.Sum256([]byte(tx))
	return h[:]
}

// ParseRequest reads what steps need of an authorization request whose parameters were checked before.
func ParseRequest(form url.Values) Request {
	q := Request{Prompt: strings.Fields(form.Get("prompt")), LoginHint: form.Get("login_hint"), UILocales: form.Get("ui_locales")}
	if v := form.Get("max_age"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
			age := time.Duration(n) * time.Second
			q.MaxAge = &age
		}
	}
	return q
}
