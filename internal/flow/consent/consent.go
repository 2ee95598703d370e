// Package consent is the step that asks a person whether an application may have what it asks for.
//
// The request stands in the flow's row: the form says only which of its scopes are allowed, so that nobody can
// allow more than was asked for. What is to be remembered is handed to the domain package of the same name.
package consent

import (
	"context"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/consent"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Step asks for consent.
type Step struct{ Now func() time.Time }

var _ flow.Step = Step{}

// Name implements flow.Step.
func (Step) Name() string { return "consent" }

// Unmet implements flow.Step.
func (Step) Unmet() flow.Code { return flow.ConsentRequired }

// The policies of applications, see client.Settings.
const (
	never  = "never"
	always = "always"
)

// openid says only that somebody signs in: it cannot be left out, and is never the thing that is asked.
const openid = "openid"

// Pending implements flow.Step.
func (Step) Pending(s *flow.State) bool {
	switch {
	case s.Decision != nil:
		return false
	case s.Request.Asks("consent"):
		return true // OpenID Connect Core §3.1.2.1, whatever the application's policy is
	case s.Client.Consent == never:
		return false
	case asksAgain(s):
		return true
	}
	return slices.ContainsFunc(s.Request.Scopes, func(scope string) bool { return !slices.Contains(s.Consented, scope) })
}

// asksAgain tells whether what was allowed before does not count: the policy says so, or anybody's program could
// pass for the application, because it has no secret and its answer goes to an address that no certificate vouches
// for (RFC 8252 §8.6, RFC 9700 §4.1.3).
func asksAgain(s *flow.State) bool {
	if s.Client.Consent == never {
		return false
	}
	return s.Client.Consent == always || (s.Client.Public() && onDevice(s.Request.RedirectURI) != "")
}

// onDevice tells what kind of address on the person's own device an answer goes to; "" when it goes to a website.
func onDevice(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return "scheme"
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return "loopback"
		}
		return ""
	}
	return "scheme"
}

// asked are the scopes that the person is asked about, and before those allowed earlier that go with them.
func asked(s *flow.State) (asked, before []string) {
	if s.Request.Asks("consent") || asksAgain(s) {
		return s.Request.Scopes, nil
	}
	for _, scope := range s.Request.Scopes {
		if slices.Contains(s.Consented, scope) {
			before = append(before, scope)
			continue
		}
		asked = append(asked, scope)
	}
	return asked, before
}

// remembers tells whether the answer may count for the next time.
func remembers(s *flow.State) bool { return !asksAgain(s) && s.Client.Consent != never }

// Submit implements flow.Step.
func (step Step) Submit(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	ctx = event.By(ctx, event.User, s.User.ID.String())
	switch in.Value("decision") {
	case "allow":
		return step.allow(ctx, r, s, in)
	case "deny":
		return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return step.deny(ctx, tx, s) })
	case "another":
		return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error { return flow.ChooseAnother(ctx, tx, s) })
	}
	return flow.Outcome{Problem: &flow.Message{Key: "consent.undecided"}, Page: page(r, s, ticked(s, in), in.Checked("remember"))}, nil
}

func (step Step) deny(ctx context.Context, tx realm.Tx, s *flow.State) error {
	if err := flow.Decide(ctx, tx, s, flow.Decision{}); err != nil {
		return err
	}
	about := event.Subject{User: s.User.ID, Client: s.Client.ClientID, Session: session(s)}
	return event.Record(ctx, tx, consent.Denied{Subject: about, Scopes: s.Request.Scopes}, step.Now())
}

func (step Step) allow(ctx context.Context, r realm.Realm, s *flow.State, in flow.Input) (flow.Outcome, error) {
	list, before := asked(s)
	chosen := ticked(s, in)
	allowed := slices.Concat(before, chosen)
	if len(allowed) == 0 {
		return flow.Outcome{Problem: &flow.Message{Key: "consent.nothing"}, Page: page(r, s, chosen, in.Checked("remember"))}, nil
	}
	now := step.Now()
	return flow.Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
		if err := flow.Decide(ctx, tx, s, flow.Decision{Scopes: inOrder(s.Request.Scopes, allowed)}); err != nil {
			return err
		}
		if !remembers(s) || !in.Checked("remember") {
			return nil
		}
		refused := slices.DeleteFunc(slices.Clone(list), func(scope string) bool { return slices.Contains(chosen, scope) })
		if err := consent.Withdraw(ctx, tx, s.User.ID, s.Client.ClientID, refused, now); err != nil {
			return err
		}
		return consent.Grant(ctx, tx, s.User.ID, s.Client.ClientID, chosen, now)
	})
}

// ticked are the scopes that the form allows, of those that are asked about.
func ticked(s *flow.State, in flow.Input) []string {
	list, _ := asked(s)
	var chosen []string
	for _, scope := range list {
		if scope == openid || in.Checked(field(scope)) {
			chosen = append(chosen, scope)
		}
	}
	return chosen
}

// field is the name of a scope's box.
func field(scope string) string { return "scope " + scope }

// inOrder are the scopes of list that are in set, in the order of list.
func inOrder(list, set []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(scope string) bool { return !slices.Contains(set, scope) })
}
