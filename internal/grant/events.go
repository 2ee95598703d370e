package grant

import "github.com/gatehouse-id/gatehouse/internal/event"

// Exchanged says that a code became tokens.
type Exchanged struct {
	event.Subject `json:"-"`
	Scopes        []string `json:"scopes"`
}

// Type implements event.Event.
func (Exchanged) Type() string { return "grant.exchanged" }

// CodeRefused says that a code was presented with a failed proof and is burnt.
type CodeRefused struct {
	event.Subject `json:"-"`
	// Reason is the protocol's error code.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (CodeRefused) Type() string { return "grant.code_refused" }

// Revoked says that an authorization and all its tokens ended.
type Revoked struct {
	event.Subject `json:"-"`
	// Reason is code_reuse, refresh_token_reuse or revoked. What ends with its session has that session.ended alone.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Revoked) Type() string { return "grant.revoked" }

// AllRevoked says that everything ended that a person had authorized. Why, the other events of its transaction say.
type AllRevoked struct {
	event.Subject `json:"-"`
	// Grants is how many authorizations that were, Clients are the applications that had them.
	Grants  int64    `json:"grants"`
	Clients []string `json:"clients"`
}

// Type implements event.Event.
func (AllRevoked) Type() string { return "grant.all_revoked" }
