package consent

import "github.com/gatehouse-id/gatehouse/internal/event"

// Granted says that a person allows a client more from now on.
type Granted struct {
	event.Subject `json:"-"`
	// Scopes are those that were added.
	Scopes []string `json:"scopes"`
}

// Type implements event.Event.
func (Granted) Type() string { return "consent.granted" }

// Denied says that a person refused what a client asked for.
type Denied struct {
	event.Subject `json:"-"`
	// Scopes are those asked for.
	Scopes []string `json:"scopes"`
}

// Type implements event.Event.
func (Denied) Type() string { return "consent.denied" }

// Revoked says that a person took back what a client was allowed.
type Revoked struct {
	event.Subject `json:"-"`
	// Scopes are those taken back; none when nothing was remembered and only authorizations ended.
	Scopes []string `json:"scopes"`
	// Grants is how many authorizations ended with it, and every token that came of them.
	Grants int64 `json:"grants"`
}

// Type implements event.Event.
func (Revoked) Type() string { return "consent.revoked" }
