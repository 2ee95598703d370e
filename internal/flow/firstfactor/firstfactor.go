// Package firstfactor is the step that asks who is there: identifier and password.
//
// It answers an unknown name, a wrong password and an account that may not sign in alike, in words and in cost,
// until the password was right. Attempts are counted before the slow comparison.
package firstfactor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Step asks for the first factor.
type Step struct {
	Hasher *password.Hasher
	Guard  flow.Guard
	Now    func() time.Time
	Random io.Reader
}

var _ flow.Alternative = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "login" }

// InsteadOf implements flow.Alternative: whoever is asked to make an account may have one, and whoever made one may
// sign in before the mail arrives, where that is enough.
func (Step) InsteadOf(due string) bool { return due == "signup" || due == "verify-email" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.LoginRequired }

// Pending implements flow.Step: nobody is signed in, the account may not be used any more, somebody else is wanted,
// or the request demands a proof that is newer than the one there is (OpenID Connect Core §3.1.2.1: prompt, max_age,
// id_token_hint). Where nobody may make an account, prompt=create asks to sign in.
func (Step) Pending(s *flow.State) bool {
	if s.Elsewhere() {
		return false
	}
	if s.User == nil || !s.User.Active || s.Another {
		return true
	}
	if s.ProvedHere() {
		return false
	}
	return s.Request.Asks("login") || s.Request.Asks("create") || s.Unexpected() || tooOld(s)
}

// tooOld is max_age: zero demands a new proof, as prompt=login does.
func tooOld(s *flow.State) bool {
	age := s.Request.MaxAge
	return age != nil && (*age == 0 || s.Now.Sub(s.Authenticated.At) > *age)
}

// Fields are what the login page shows.
type Fields struct {
	// Identifier is filled in: the login hint, or what was typed before.
	Identifier string
	// EmailOnly says that the realm knows people by e-mail address alone.
	EmailOnly bool
	// OfferRemember shows "Keep me signed in"; Remember ticks it.
	OfferRemember, Remember bool
	// Confirm says that the person is signed in and must prove it again.
	Confirm bool
	// ForgotURL, SignUpURL and CodeURL are paths of our own; "" leaves the link out.
	ForgotURL, SignUpURL, CodeURL string
}

// Page implements flow.Step. Whoever confirms that it is them need not type their name again; a hint that names who
// is there is no help to somebody who wants another account.
func (Step) Page(_ context.Context, _ realm.Realm, s *flow.State) (flow.Page, error) {
	p := Fields{Identifier: s.Request.LoginHint}
	switch {
	case p.Identifier == "" && confirms(s) && len(s.User.Names) > 0:
		p.Identifier = s.User.Names[0]
	case s.Another && s.User != nil && s.User.Is(p.Identifier):
		p.Identifier = ""
	}
	return page(s, p), nil
}

// confirms tells whether the person who is there must prove it again.
func confirms(s *flow.State) bool {
	return s.User != nil && s.User.Active && !s.Another && !s.Unexpected()
}

func page(s *flow.State, f Fields) flow.Page {
	f.OfferRemember = true
	f.Confirm = confirms(s)
	f.ForgotURL = s.URL("recover")
	if flow.On(s.Realm.Flags.AllowAutoRegistration) && !f.Confirm {
		f.SignUpURL = s.URL("signup")
	}
	if s.Realm.Settings.SignIn.EmailCode {
		f.CodeURL = s.URL("email-code")
	}
	return flow.Page{Title: flow.Message{Key: "login.title", Params: map[string]any{"app": s.Client.Name}}, Fields: f}
}

const maxIdentifier = 320

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	typed, plain := in.Value("username"), in.Value("password")
	again := page(s, Fields{Identifier: typed, Remember: in.Checked("remember")})
	if missing := required(typed, plain); len(missing) > 0 {
		return flow.Outcome{Fields: missing, Page: again}, nil
	}
	who, err := step.find(ctx, r, typed)
	if err != nil {
		return flow.Outcome{}, err
	}
	attempt, wait, err := step.Guard.Password(ctx, r, who.account(), in.Address)
	if err != nil {
		return flow.Outcome{}, err
	}
	if wait > 0 {
		return flow.TryLater(again, wait), step.refuse(ctx, r, s, who, "throttled")
	}
	// Whether the attempt fails or the browser goes away: what was reserved stays counted.
	result, err := step.verify(ctx, who, plain)
	switch {
	case errors.Is(err, password.ErrTooLong) || errors.Is(err, password.ErrNotText):
		result = password.Result{}
	case password.Unavailable(err):
		err = errors.Join(err, attempt.Withdraw(ctx))
		return flow.Outcome{}, problem.New(problem.Unavailable).WithRetryAfter(5 * time.Second).Because(err)
	case err != nil:
		return flow.Outcome{}, fmt.Errorf("verify a password: %w", errors.Join(err, attempt.Withdraw(ctx)))
	}
	if !result.OK {
		attempt.Failed()
		return refused("login.bad_identifier", again), step.refuse(ctx, r, s, who, reason(who))
	}
	if err := attempt.Succeeded(ctx); err != nil {
		return flow.Outcome{}, err
	}
	if !who.Active {
		return refused("login.disabled", again), step.refuse(ctx, r, s, who, "inactive")
	}
	cookie, err := step.accept(ctx, r, s, who, plain, in.Checked("remember"), result.NeedsRehash)
	return flow.Outcome{Cookie: cookie}, err
}

func required(typed, plain string) map[string]flow.Message {
	missing := map[string]flow.Message{}
	if typed == "" {
		missing["username"] = flow.Message{Key: "login.identifier_required"}
	}
	if plain == "" {
		missing["password"] = flow.Message{Key: "login.password_required"}
	}
	return missing
}

// candidate is who the typed name means; ID is uuid.Nil when nobody has it.
type candidate struct {
	password.Candidate
	canonical string
	typed     string
}

// account is the name under which failures are counted: all spellings and names of a person share one (LG-03).
func (c candidate) account() string {
	return cmp.Or(c.Counter, c.canonical)
}

func (step Step) find(ctx context.Context, r realm.Realm, typed string) (candidate, error) {
	who := candidate{typed: typed}
	if len(typed) > maxIdentifier {
		who.typed = typed[:maxIdentifier]
	}
	id, err := user.Canonical(typed)
	var impossible *user.IdentifierError
	switch {
	case errors.As(err, &impossible):
		// A name that cannot exist is like one that nobody has, with a counter of its own.
		who.canonical = who.typed
		return who, nil
	case err != nil:
		return candidate{}, err
	}
	who.canonical = id.Canonical
	found, err := password.Find(ctx, r, id.Canonical, step.Now())
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return who, nil
	case err != nil:
		return candidate{}, err
	}
	who.Candidate = found
	return who, nil
}

// verify compares with the person's hash or, when there is none, spends as much.
func (step Step) verify(ctx context.Context, who candidate, plain string) (password.Result, error) {
	if who.Hash == "" {
		return password.Result{}, step.Hasher.VerifyDummy(ctx, plain)
	}
	return step.Hasher.Verify(ctx, who.Hash, plain)
}

// accept notes the proof in the flow, together with a stronger hash when the stored one is weaker than today's. It
// returns the browser's new cookie. The proof is of when the request came, before the hash was read: it must not look
// newer than a password that was set in between.
func (step Step) accept(ctx context.Context, r realm.Realm, s *flow.State, who candidate, plain string, remember, rehash bool) (session.Token, error) {
	stronger := ""
	if rehash {
		var err error
		if stronger, err = step.Hasher.Hash(ctx, plain); err != nil && !errors.Is(err, password.ErrBusy) {
			return "", fmt.Errorf("hash a password anew: %w", err)
		}
	}
	cookie, err := session.NewToken(step.Random)
	if err != nil {
		return "", err
	}
	now := step.Now()
	ctx = event.By(ctx, event.User, who.ID.String())
	return cookie, r.InTx(ctx, func(tx realm.Tx) error {
		if stronger != "" {
			if err := password.Upgrade(ctx, tx, who.ID, who.Hash, stronger, now); err != nil {
				return err
			}
		}
		return flow.Authenticate(ctx, tx, s, flow.Proof{User: who.ID, AMR: []string{"pwd"}, Persistent: remember, Cookie: cookie}, s.Now)
	})
}

func reason(who candidate) string {
	if who.ID == uuid.Nil {
		return "unknown"
	}
	return "wrong"
}

// refuse records a failed attempt. It is written even when the browser has gone away: an attacker must not be able
// to hide by hanging up.
func (step Step) refuse(ctx context.Context, r realm.Realm, s *flow.State, who candidate, why string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return r.InTx(ctx, func(tx realm.Tx) error {
		about := event.Subject{User: who.ID, Client: s.Client.ClientID, Identifier: who.typed}
		return event.Record(ctx, tx, password.Refused{Subject: about, Reason: why}, step.Now())
	})
}

func refused(key string, again flow.Page) flow.Outcome {
	return flow.Outcome{Problem: &flow.Message{Key: key}, Page: again}
}
