package password

import "github.com/gatehouse-id/gatehouse/internal/event"

// Changed says that a password was set.
type Changed struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Changed) Type() string { return "password.changed" }

// ChangeDemanded says that a person has to choose another password at the next sign-in.
type ChangeDemanded struct {
	event.Subject `json:"-"`
	// Reason is admin, temporary, breach or policy.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (ChangeDemanded) Type() string { return "password.change_demanded" }

// Upgraded says that a password was hashed anew with stronger parameters.
type Upgraded struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Upgraded) Type() string { return "password.upgraded" }

// Refused says that a sign-in failed.
type Refused struct {
	event.Subject `json:"-"`
	// Reason is unknown, wrong, inactive or throttled; it is never shown to the person.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Refused) Type() string { return "login.refused" }
