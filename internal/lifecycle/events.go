package lifecycle

import "github.com/gatehouse-id/gatehouse/internal/event"

// Unthrottled says that the failed attempts of an account were forgotten.
type Unthrottled struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Unthrottled) Type() string { return "user.unthrottled" }

// Disabled says that an administrator took an account out of use.
type Disabled struct {
	event.Subject `json:"-"`
	// Reason is the administrator's own words, "" when they gave none.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Disabled) Type() string { return "user.disabled" }

// Enabled says that a disabled account may be used again.
type Enabled struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Enabled) Type() string { return "user.enabled" }

// Locked says that an account was locked, by its owner or on evidence of abuse.
type Locked struct {
	event.Subject `json:"-"`
	// Reason is what the lock was for, "" when nobody said.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Locked) Type() string { return "user.locked" }

// Unlocked says that a locked account may be used again.
type Unlocked struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Unlocked) Type() string { return "user.unlocked" }

// SignedOut says that somebody was signed out of everything on purpose: no proof of identity from before counts. What
// ended by it has events of its own.
type SignedOut struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (SignedOut) Type() string { return "user.signed_out" }

// Deleted says that an account is gone, with all that was the person's.
type Deleted struct {
	event.Subject `json:"-"`
	// Reason is the administrator's own words, "" when they gave none.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Deleted) Type() string { return "user.deleted" }
